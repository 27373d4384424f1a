"""Read order.events into the payments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from node.set_aside import SetAside
from orders.messaging.listener import Listener
from orders.messaging.message import Offset
from orders.payments.adapters.codec import decode
from orders.payments.instructions import Instruction
from orders.payments.metrics import INSTRUCTIONS
from orders.payments.ports import InstructionInbox


def listener(
    inbox: InstructionInbox, wake: Callable[[], None], set_aside: SetAside, log: structlog.stdlib.BoundLogger
) -> Listener[Instruction]:
    """The listener of the payments; `wake` is called after each batch."""

    async def receive(instructions: Sequence[Instruction], offsets: Sequence[Offset]) -> None:
        counts = await inbox.receive(instructions, offsets)
        for what in ("applied", "duplicates", "held"):
            INSTRUCTIONS.labels(what).inc(getattr(counts, what))
        wake()

    unreadable = INSTRUCTIONS.labels("unreadable")
    return Listener(lambda _, payload: decode(payload), receive, set_aside, lambda _: unreadable, log)
