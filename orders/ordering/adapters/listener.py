"""Read payment.events and dispatch.events into one database of orders.

Each database has a listener of its own, with offsets of its own, that drops what orders of other ranges are told: a
database that is away holds up its own orders only.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import ConsumerRecord

from node.errors import Invalid
from node.kafka import TopicLoop
from node.set_aside import BadMessage, SetAside, bad_record
from orders.messaging.inbox import UNKNOWN_KIND
from orders.messaging.message import Offset, offsets_after
from orders.messaging.postgres import offsets
from orders.ordering.adapters.codec import decode
from orders.ordering.event_inbox import BatchOutcome, ReceivedEvent, Source
from orders.ordering.metrics import EVENTS_HEARD, EVENTS_UNREADABLE
from orders.ordering.ports import OrderDecisions
from orders.ranges import Range
from proto.topics import DISPATCH_EVENTS, PAYMENT_EVENTS

SOURCES: Mapping[str, Source] = {PAYMENT_EVENTS.name: Source.PAYMENTS, DISPATCH_EVENTS.name: Source.DISPATCH}

#: Trades a little latency of a saga's step for fewer, larger transactions.
LINGER_S = 0.02

#: What a store raises for an event that it can never take: a number or a character that no column holds.
_NEVER = (ValueError, Invalid)


@dataclass(frozen=True, slots=True)
class Listener:
    """Hands events of other services to the database of their orders, batch by batch, each partition in its order."""

    decisions: OrderDecisions
    own: Range
    set_aside: SetAside
    log: structlog.stdlib.BoundLogger

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Apply the records of a poll. A message that cannot be read or stored is set aside; so is one of an unknown
        kind, whose version counts all the same.
        """
        bad: list[BadMessage] = []
        own: list[tuple[ConsumerRecord, ReceivedEvent]] = []
        for record in records:
            try:
                event = decode(SOURCES[record.topic], record.value)
            except ValueError as error:
                bad.append(self._bad(record, str(error)))
                continue
            if not self.own.holds(event.order_id):
                continue
            own.append((record, event))
            if not event.known:
                bad.append(self._bad(record, UNKNOWN_KIND, passed_over=True))
        await self.set_aside(bad)
        try:
            _count(await self.decisions.receive([event for _, event in own], offsets_after(records)))
        except _NEVER:
            await self._one_by_one(own, offsets_after(records))

    async def _one_by_one(self, own: Sequence[tuple[ConsumerRecord, ReceivedEvent]], after: Sequence[Offset]) -> None:
        """One event spoils the batch: the others are applied without it."""
        for record, event in own:
            try:
                _count(await self.decisions.receive([event], []))
            except _NEVER as error:
                await self.set_aside([self._bad(record, str(error))])
        await self.decisions.receive([], after)

    def _bad(self, record: ConsumerRecord, reason: str, *, passed_over: bool = False) -> BadMessage:
        EVENTS_UNREADABLE.labels(SOURCES[record.topic]).inc()
        bad = bad_record(record, reason, passed_over=passed_over)
        self.log.error("event set aside", topic=bad.topic, offset=bad.offset, key=bad.key, reason=bad.reason)
        return bad


def listen(
    kafka_url: str, listener: Listener, pool: asyncpg.Pool, log: structlog.stdlib.BoundLogger
) -> Coroutine[Any, Any, None]:
    """The loop that reads the topics, from the offsets that the listener's database has."""
    loop = TopicLoop(
        kafka_url,
        tuple(SOURCES),
        lambda log_id: offsets(pool, log_id),
        listener.handle,
        log,
        linger_s=LINGER_S,
    )
    return loop.run()


def _count(outcome: BatchOutcome) -> None:
    for what in ("applied", "duplicates", "held", "refused", "unknown"):
        EVENTS_HEARD.labels(what).inc(getattr(outcome, what))
