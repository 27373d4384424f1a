"""Read order.events into the payments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import ConsumerRecord

from node.errors import Invalid
from node.set_aside import BadMessage, SetAside, bad_record
from orders.messaging.inbox import UNKNOWN_KIND
from orders.messaging.message import Offset, offsets_after
from orders.payments.adapters.codec import decode
from orders.payments.instructions import Instruction
from orders.payments.metrics import INSTRUCTIONS
from orders.payments.ports import InstructionCounts, InstructionInbox

#: What the inbox raises for an instruction that it can never take.
_NEVER = (ValueError, Invalid)


@dataclass(frozen=True, slots=True)
class Listener:
    """Hands instructions of orders to the payments, batch by batch; `wake` is called after each."""

    inbox: InstructionInbox
    wake: Callable[[], None]
    set_aside: SetAside
    log: structlog.stdlib.BoundLogger

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Apply the records of a poll. A message that cannot be read or stored is set aside; so is one of an unknown
        kind, whose version counts all the same.
        """
        bad: list[BadMessage] = []
        good: list[tuple[ConsumerRecord, Instruction]] = []
        for record in records:
            try:
                instruction = decode(record.value)
            except ValueError as error:
                bad.append(self._bad(record, str(error)))
                continue
            good.append((record, instruction))
            if not instruction.known:
                bad.append(self._bad(record, UNKNOWN_KIND, passed_over=True))
        await self.set_aside(bad)
        try:
            _count(await self.inbox.receive([instruction for _, instruction in good], offsets_after(records)))
        except _NEVER:
            await self._one_by_one(good, offsets_after(records))
        self.wake()

    async def _one_by_one(self, good: Sequence[tuple[ConsumerRecord, Instruction]], after: Sequence[Offset]) -> None:
        """One instruction spoils the batch: the others are applied without it."""
        for record, instruction in good:
            try:
                _count(await self.inbox.receive([instruction], []))
            except _NEVER as error:
                await self.set_aside([self._bad(record, str(error))])
        await self.inbox.receive([], after)

    def _bad(self, record: ConsumerRecord, reason: str, *, passed_over: bool = False) -> BadMessage:
        INSTRUCTIONS.labels("unreadable").inc()
        bad = bad_record(record, reason, passed_over=passed_over)
        self.log.error("event set aside", topic=bad.topic, offset=bad.offset, key=bad.key, reason=bad.reason)
        return bad


def _count(counts: InstructionCounts) -> None:
    for what in ("applied", "duplicates", "held"):
        INSTRUCTIONS.labels(what).inc(getattr(counts, what))
