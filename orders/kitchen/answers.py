"""Apply a kitchen's answer to an order. Pure; each answer may be repeated and changes nothing then."""

from __future__ import annotations

from dataclasses import dataclass

from orders.model import Order, Status
from orders.ordering.errors import TransitionRefused
from orders.ordering.events import Change
from orders.ordering.saga import IN_KITCHEN, Signal, step
from orders.ordering.transitions import Trigger

#: The kitchen has said yes, then or earlier.
_TAKEN = frozenset({Status.ACCEPTED, Status.ASSIGNED, Status.PICKED_UP, Status.DELIVERED, Status.COMPLETED})
_GONE = _TAKEN - IN_KITCHEN


@dataclass(frozen=True, slots=True)
class Accept:
    """The kitchen accepts the order. 0 seconds: it needs as long as estimated."""

    preparation_s: int = 0


@dataclass(frozen=True, slots=True)
class Reject:
    """The kitchen rejects the order, or cannot finish it."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """The food is on the counter."""


@dataclass(frozen=True, slots=True)
class ReadyIn:
    """The food will be ready in so many seconds."""

    seconds: int


Answer = Accept | Reject | Ready | ReadyIn


def apply_answer(order: Order, answer: Answer, now_ms: int) -> Change:
    """The change. Raises `TransitionRefused` where the order's state does not allow the answer."""
    match answer:
        case Accept():
            return _accepted(order, answer, now_ms)
        case Reject():
            return _rejected(order, answer, now_ms)
        case Ready():
            if order.cooked_ms or order.status in _GONE:
                return Change(order)
            return _ready_at(order, now_ms, now_ms, cooked=True)
        case ReadyIn():
            if order.cooked_ms:
                raise TransitionRefused(order.status, "be ready later", "its food was called ready")
            return _ready_at(order, now_ms, now_ms + 1000 * answer.seconds, cooked=False)


def _accepted(order: Order, answer: Accept, now_ms: int) -> Change:
    if order.status in _TAKEN:
        return Change(order)
    ready_ms = now_ms + 1000 * (answer.preparation_s or order.preparation_s)
    return step(order, Signal(Trigger.ACCEPT, now_ms, ready_ms=ready_ms))


def _rejected(order: Order, answer: Reject, now_ms: int) -> Change:
    if order.status is Status.CANCELLED:
        return Change(order)
    reason = f"kitchen: {answer.reason}" if answer.reason else "kitchen"
    trigger = Trigger.REJECT if order.status is Status.AUTHORISED else Trigger.CANCEL
    return step(order, Signal(trigger, now_ms, reason=reason))


def _ready_at(order: Order, now_ms: int, ready_ms: int, *, cooked: bool) -> Change:
    if order.status not in IN_KITCHEN:
        raise TransitionRefused(order.status, "be ready", "it is not in the kitchen")
    return step(order, Signal(None, now_ms, ready_ms=ready_ms, cooked=cooked))
