"""Instructions that payments receive from orders, and their application to a payment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orders.messaging.inbox import admit
from orders.model import OrderId
from orders.money import Parts
from orders.payments.model import Goal, Money, Payment
from orders.payments.transitions import voided_untried


class InstructionKind(StrEnum):
    """Kind of an instruction: the meaning of an order's event for its payment."""

    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    NOTHING = "NOTHING"


_NONE = Money(0, "")
_NO_PARTS = Parts(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An event of an order; amount, its parts and the token come with the first one.

    `flaw` says why its message is set aside although its version counts: it is of a kind that this release does not
    know, and asks for nothing, or holds what had to be altered to be stored.
    """

    order_id: OrderId
    version: int
    kind: InstructionKind
    raw: bytes
    amount: Money = _NONE
    token: str = ""
    parts: Parts = _NO_PARTS
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class InstructionOutcome:
    """A payment after some instructions; `told` when orders must be sent an event about its new status."""

    payment: Payment | None
    seen: int
    hold: tuple[Instruction, ...]
    applied: int
    duplicates: int
    told: bool


_GOALS = {InstructionKind.CAPTURE: Goal.CAPTURED, InstructionKind.CANCEL: Goal.CANCELLED}


def apply_instructions(payment: Payment | None, seen: int, events: Sequence[Instruction]) -> InstructionOutcome:
    """Apply what may be applied of held and newly arrived instructions of one order, each once and in order."""
    admitted = admit(seen, events)
    for instruction in admitted.apply:
        payment = _follow(payment, instruction)
    void = voided_untried(payment) if payment is not None and admitted.apply else None
    return InstructionOutcome(
        void or payment,
        admitted.seen,
        tuple(admitted.hold),
        len(admitted.apply),
        admitted.duplicates,
        told=void is not None,
    )


def _follow(payment: Payment | None, instruction: Instruction) -> Payment | None:
    if payment is None:
        if instruction.kind is not InstructionKind.AUTHORISE:
            return None
        return Payment(instruction.order_id, instruction.amount, instruction.token, instruction.parts)
    goal = _GOALS.get(instruction.kind)
    return replace(payment, goal=goal) if goal is not None else payment
