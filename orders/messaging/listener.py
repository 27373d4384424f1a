"""Hand the messages of some topics to one database, batch by batch, and set aside those that it cannot take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import asyncpg
import structlog
from aiokafka import ConsumerRecord
from prometheus_client import Counter

from node.errors import Invalid
from node.kafka import TopicLoop
from node.set_aside import BadMessage, SetAside, bad_record
from orders.messaging.message import Offset, offsets_after
from orders.messaging.postgres import offsets

#: Trades a little latency of a saga's step for fewer, larger transactions.
LINGER_S = 0.02

#: What a store raises for an event that it can never take: a number or a character that no column holds.
_NEVER = (ValueError, Invalid)


class Decoded(Protocol):
    """An event, decoded from its message."""

    @property
    def flaw(self) -> str:
        """Why its message is set aside although its version counts; empty for a sound one."""


E = TypeVar("E", bound=Decoded)


@dataclass(frozen=True, slots=True)
class Listener(Generic[E]):
    """Hands events of other services to one database, each partition in its order.

    `decode` gets a topic and a message, and returns None for an event of another database; it raises `ValueError` for
    a message that cannot be used. `receive` applies events and stores offsets, all at once. `unreadable` is the counter
    of a topic's messages that were set aside.
    """

    decode: Callable[[str, bytes], E | None]
    receive: Callable[[Sequence[E], Sequence[Offset]], Awaitable[None]]
    set_aside: SetAside
    unreadable: Callable[[str], Counter]
    log: structlog.stdlib.BoundLogger

    async def run(self, kafka_url: str, topics: Sequence[str], pool: asyncpg.Pool) -> None:
        """Read the topics from the offsets that the database has, until cancelled."""
        loop = TopicLoop(
            kafka_url, topics, lambda log_id: offsets(pool, log_id), self.handle, self.log, linger_s=LINGER_S
        )
        await loop.run()

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Apply the records of a poll. A message that cannot be read or stored is set aside; so is one with a flaw,
        whose version counts all the same.
        """
        bad: list[BadMessage] = []
        good: list[tuple[ConsumerRecord, E]] = []
        for record in records:
            try:
                event = self.decode(record.topic, record.value or b"")
            except ValueError as error:
                bad.append(self._bad(record, str(error)))
                continue
            if event is None:
                continue
            good.append((record, event))
            if event.flaw:
                bad.append(self._bad(record, event.flaw, passed_over=True))
        await self.set_aside(bad)
        try:
            await self.receive([event for _, event in good], offsets_after(records))
        except _NEVER:
            await self._one_by_one(good, offsets_after(records))

    async def _one_by_one(self, good: Sequence[tuple[ConsumerRecord, E]], after: Sequence[Offset]) -> None:
        """One event spoils the batch: the others are applied without it."""
        for record, event in good:
            try:
                await self.receive([event], [])
            except _NEVER as error:
                await self.set_aside([self._bad(record, str(error))])
        await self.receive([], after)

    def _bad(self, record: ConsumerRecord, reason: str, *, passed_over: bool = False) -> BadMessage:
        self.unreadable(record.topic).inc()
        bad = bad_record(record, reason, passed_over=passed_over)
        self.log.error("event set aside", topic=bad.topic, offset=bad.offset, key=bad.key, reason=bad.reason)
        return bad
