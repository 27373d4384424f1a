"""The saga of an order, as pure steps: an order and a signal give the changed order and the events to send.

Placed ──> payments ──> AUTHORISE ──> the kitchen accepts ──> Accepted, Opened ──> dispatch
dispatch ──> ASSIGN, PICK_UP, DELIVER ──> Delivered ──> payments ──> CAPTURE ──> Completed
compensations: CANCEL, REJECT, FAIL ──> Cancelled (payments void or refund), Withdrawn (dispatch forgets)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orders.model import AUTO, ActionRequired, Basket, KitchenTerms, Order, OrderId, Price, Status, StatusChange, UserId
from orders.ordering.errors import TransitionRefused
from orders.ordering.events import Change, Event, Fact, Opened, OrderFact, ReadyChanged, Withdrawn
from orders.ordering.transitions import Trigger, next_status

#: Once accepted an order is known to dispatch, until it is delivered or lost.
_WITH_DISPATCH = frozenset({Status.ACCEPTED, Status.ASSIGNED, Status.PICKED_UP})
#: Accepted and not picked up: the food is in the kitchen.
IN_KITCHEN = frozenset({Status.ACCEPTED, Status.ASSIGNED})


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that happened to an order. Without a trigger it changes no status: it brings a new ETA, a new
    ready time or news of the payment.
    """

    trigger: Trigger | None
    at_ms: int
    reason: str = ""
    rider_id: int = 0
    ready_ms: int = 0
    #: The kitchen says that the food is ready, at `ready_ms`.
    cooked: bool = False
    #: 0 leaves the ETA as it is.
    eta_ms: int = 0
    #: Payments wait for the customer to do this.
    action: ActionRequired | None = None
    #: Given back so far; 0 leaves it as it is.
    refunded_minor: int = 0


def place(
    order_id: OrderId,
    user_id: UserId,
    basket: Basket,
    price: Price,
    placed_ms: int,
    promised_ms: int,
    token: str,
    kitchen: KitchenTerms = AUTO,
) -> Change:
    """A new order, and the request to payments to authorise it."""
    history = (StatusChange(Status.PLACED, placed_ms),)
    order = Order(
        order_id, user_id, basket, price, Status.PLACED, history, placed_ms, promised_ms, kitchen=kitchen, events=1
    )
    return Change(order, (OrderFact(order, Fact.PLACED, placed_ms, payment_token=token),))


def step(order: Order, signal: Signal) -> Change:
    """One step. Raises `TransitionRefused` where the state table has none."""
    if signal.trigger is None:
        return _new_ready_time(order, signal) if signal.ready_ms else _without_transition(order, signal)
    status = next_status(order.status, signal.trigger)
    changed = replace(
        order,
        status=status,
        history=(*order.history, StatusChange(status, signal.at_ms, signal.reason)),
        rider_id=_rider(order, signal),
        ready_ms=signal.ready_ms or order.ready_ms,
        eta_ms=signal.eta_ms or order.eta_ms,
        action=None,
        version=order.version + 1,
    )
    return _with_events(order.status, changed, signal)


def follow(order: Order, signals: Sequence[Signal]) -> tuple[Change, list[TransitionRefused]]:
    """All steps that the table has, one after the other, and the refusals of the others.

    A signal that comes too late is normal (a rider accepted while the customer cancelled): it changes nothing.
    A restaurant that takes every order without being asked answers here, too.
    """
    events: list[Event] = []
    refused: list[TransitionRefused] = []
    waiting = list(reversed(signals))
    while waiting:
        signal = waiting.pop()
        try:
            change = step(order, signal)
        except TransitionRefused as refusal:
            refused.append(refusal)
            continue
        order = change.order
        events += change.events
        if signal.trigger is Trigger.AUTHORISE and order.kitchen.auto_accept:
            waiting.append(kitchen_accepts(order, signal.at_ms))
    return Change(order, tuple(events)), refused


def kitchen_accepts(order: Order, at_ms: int) -> Signal:
    """The answer of a kitchen that is not asked: it takes the order at once and is ready when it is reckoned to be."""
    return Signal(Trigger.ACCEPT, at_ms, ready_ms=at_ms + 1000 * order.preparation_s)


def _without_transition(order: Order, signal: Signal) -> Change:
    """What a signal without a trigger brings, where it still matters."""
    changed = order
    if order.status in _WITH_DISPATCH and signal.eta_ms:
        changed = replace(changed, eta_ms=signal.eta_ms)
    if order.status is Status.PLACED and signal.action:
        changed = replace(changed, action=signal.action)
    if signal.refunded_minor > order.refunded_minor:
        changed = replace(changed, refunded_minor=signal.refunded_minor)
    return Change(replace(changed, version=order.version + 1) if changed != order else order)


def _new_ready_time(order: Order, signal: Signal) -> Change:
    """The food is ready, or will be at another time. Too late when it has left, nothing new when it was said before."""
    told_before = signal.ready_ms == order.ready_ms and not signal.cooked
    if order.status not in IN_KITCHEN or order.cooked_ms or told_before:
        return Change(order)
    cooked_ms = signal.ready_ms if signal.cooked else 0
    order = replace(order, ready_ms=signal.ready_ms, cooked_ms=cooked_ms, version=order.version + 1)
    return Change(order, (ReadyChanged(order),))


def _rider(order: Order, signal: Signal) -> int:
    if signal.trigger is Trigger.UNASSIGN:
        return 0
    return signal.rider_id or order.rider_id


def _with_events(before: Status, order: Order, signal: Signal) -> Change:
    """The change with the events that its transition calls for."""
    at_ms, reason = signal.at_ms, signal.reason
    match signal.trigger:
        case Trigger.ACCEPT:
            order = replace(order, events=order.events + 1)
            return Change(order, (OrderFact(order, Fact.ACCEPTED, at_ms), Opened(order)))
        case Trigger.DELIVER:
            order = replace(order, events=order.events + 1)
            return Change(order, (OrderFact(order, Fact.DELIVERED, at_ms),))
        case Trigger.CAPTURE:
            order = replace(order, events=order.events + 1)
            return Change(order, (OrderFact(order, Fact.COMPLETED, at_ms),))
        case Trigger.CANCEL | Trigger.REJECT | Trigger.FAIL:
            order = replace(order, events=order.events + 1)
            cancelled = OrderFact(order, Fact.CANCELLED, at_ms, reason=reason)
            tell_dispatch = before in _WITH_DISPATCH and signal.trigger is not Trigger.FAIL
            return Change(order, (cancelled, Withdrawn(order, reason)) if tell_dispatch else (cancelled,))
        case _:
            return Change(order)
