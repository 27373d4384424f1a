"""What payments hear from orders, and what a payment makes of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from orders.messaging.inbox import admit
from orders.model import OrderId
from orders.money import Parts
from orders.payments.model import Goal, Money, Payment
from orders.payments.transitions import voided_untried


class Wish(StrEnum):
    """What an event of an order means for its payment."""

    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"
    NOTHING = "NOTHING"


_NONE = Money(0, "")
_NO_PARTS = Parts(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Instruction:
    """An event of an order; amount, its parts and the token come with the first one."""

    order_id: OrderId
    version: int
    wish: Wish
    raw: bytes
    amount: Money = _NONE
    token: str = ""
    parts: Parts = _NO_PARTS


@dataclass(frozen=True, slots=True)
class Obeyed:
    """A payment after some instructions; `told` when it reached a status that orders must hear of."""

    payment: Payment | None
    seen: int
    hold: tuple[Instruction, ...]
    applied: int
    duplicates: int
    told: bool


_GOALS = {Wish.CAPTURE: Goal.CAPTURED, Wish.CANCEL: Goal.CANCELLED}


def obey(payment: Payment | None, seen: int, events: Sequence[Instruction]) -> Obeyed:
    """Applies what may be applied of held and newly arrived instructions of one order, each once and in order."""
    admitted = admit(seen, events)
    for instruction in admitted.apply:
        payment = _follow(payment, instruction)
    void = voided_untried(payment) if payment is not None and admitted.apply else None
    return Obeyed(
        void or payment,
        admitted.seen,
        tuple(admitted.hold),
        len(admitted.apply),
        admitted.duplicates,
        told=void is not None,
    )


def _follow(payment: Payment | None, instruction: Instruction) -> Payment | None:
    if payment is None:
        if instruction.wish is not Wish.AUTHORISE:
            return None
        return Payment(instruction.order_id, instruction.amount, instruction.token, instruction.parts)
    goal = _GOALS.get(instruction.wish)
    return replace(payment, goal=goal) if goal is not None else payment
