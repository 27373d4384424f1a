"""Read order.events into the payments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from aiokafka import ConsumerRecord

from orders.messaging.message import offsets_after
from orders.payments.adapters.codec import decode
from orders.payments.instructions import Instruction
from orders.payments.metrics import INSTRUCTIONS
from orders.payments.ports import InstructionInbox


@dataclass(frozen=True, slots=True)
class Listener:
    """Hands instructions of orders to the payments, batch by batch; `wake` is called after each."""

    inbox: InstructionInbox
    wake: Callable[[], None]
    log: structlog.stdlib.BoundLogger

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Apply the records of a poll. A message that cannot be read is counted, logged and passed over."""
        instructions = [one for record in records if (one := self._read(record)) is not None]
        counts = await self.inbox.receive(instructions, offsets_after(records))
        self.wake()
        for what in ("applied", "duplicates", "held"):
            INSTRUCTIONS.labels(what).inc(getattr(counts, what))

    def _read(self, record: ConsumerRecord) -> Instruction | None:
        try:
            return decode(record.value)
        except ValueError as error:
            INSTRUCTIONS.labels("unreadable").inc()
            self.log.error("unreadable event", topic=record.topic, offset=record.offset, error=str(error))
            return None
