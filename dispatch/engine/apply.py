"""Inputs to changed state. Duplicates are no-ops, illegal inputs are refused with a note; nothing raises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import singledispatch

from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderCancelled,
    OrderOpened,
    OrderReadyChanged,
    PickedUp,
    RiderArrived,
    RiderBorrowed,
    RiderLent,
    RiderMovedIn,
    RiderMovedOut,
    RiderOffline,
    RiderOnline,
    RiderReturned,
)
from dispatch.engine.model import (
    Cooldown,
    LoanState,
    Offer,
    OfferStatus,
    Order,
    OrderId,
    OrderStatus,
    Rider,
    RiderId,
    StopKind,
    Vehicle,
)
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import hand_back, reopen, shifted, sweep, take_on
from dispatch.engine.state import Draft

#: Answers of a rider that are remembered; beyond that all are halved.
ANSWERS_KEPT = 40


class NoteKind(StrEnum):
    """What became of an input, or of an order because of it."""

    DUPLICATE = "duplicate"
    REFUSED = "refused"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    EXPIRED = "expired"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LENT = "lent"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Note:
    """One thing worth telling: results for the outbox, refusals for the metrics.

    `reason` is a fixed word for DUPLICATE and REFUSED, words for FAILED, else mostly empty.
    """

    kind: NoteKind
    at_ms: int
    order_id: OrderId | None = None
    rider_id: RiderId | None = None
    reason: str = ""


def apply(draft: Draft, inputs: Iterable[Input], now_ms: int, params: EngineParams) -> list[Note]:
    """Take the inputs into the draft, in order; then let overdue offers expire.

    The same input twice, or an input that comes too late, leaves the draft as it is.
    """
    notes: list[Note] = []
    for item in inputs:
        notes += _take(item, draft, params)
    notes += _expire(draft, now_ms, params)
    notes += _send_home(draft, now_ms, params)
    draft.forget_ended_before(now_ms - round(params.offers.forget_s * 1000))
    return notes


@singledispatch
def _take(item: object, draft: Draft, params: EngineParams) -> list[Note]:
    return [Note(NoteKind.REFUSED, 0, reason="unknown_input")]


def _duplicate(at_ms: int, order_id: OrderId | None = None, rider_id: RiderId | None = None) -> list[Note]:
    return [Note(NoteKind.DUPLICATE, at_ms, order_id, rider_id)]


def _refused(reason: str, at_ms: int, order_id: OrderId | None = None, rider_id: RiderId | None = None) -> list[Note]:
    return [Note(NoteKind.REFUSED, at_ms, order_id, rider_id, reason)]


@_take.register
def _(item: OrderOpened, draft: Draft, params: EngineParams) -> list[Note]:
    if draft.order(item.order_id) is not None or draft.has_ended(item.order_id):
        return _duplicate(item.at_ms, item.order_id)
    if item.size < 1:
        return _refused("bad_size", item.at_ms, item.order_id)
    draft.put_order(
        Order(
            order_id=item.order_id,
            restaurant_id=item.restaurant_id,
            pickup=item.pickup,
            drop=item.drop,
            placed_ms=item.placed_ms,
            ready_ms=item.ready_ms,
            promised_ms=item.promised_ms,
            size=item.size,
            zone=item.zone,
        )
    )
    return []


@_take.register
def _(item: OrderReadyChanged, draft: Draft, params: EngineParams) -> list[Note]:
    order = draft.order(item.order_id)
    if order is None or order.status is OrderStatus.PICKED_UP:
        return _refused("too_late", item.at_ms, item.order_id)
    draft.put_order(replace(order, ready_ms=item.ready_ms))
    return []


@_take.register
def _(item: OrderCancelled, draft: Draft, params: EngineParams) -> list[Note]:
    order = draft.order(item.order_id)
    if order is None:
        if draft.has_ended(item.order_id):
            return _duplicate(item.at_ms, item.order_id)
        return _refused("unknown_order", item.at_ms, item.order_id)
    if order.status is OrderStatus.PICKED_UP:
        return _refused("on_board", item.at_ms, item.order_id, order.rider_id)
    if order.status is OrderStatus.OFFERED:
        _retract_offer_of(order, draft, item.at_ms)
    elif order.status is OrderStatus.ASSIGNED:
        hand_back(draft, order, item.at_ms)
    draft.put_order(replace(order, status=OrderStatus.CANCELLED, ended_ms=item.at_ms))
    return [Note(NoteKind.CANCELLED, item.at_ms, order.order_id, order.rider_id)]


@_take.register
def _(item: RiderOnline, draft: Draft, params: EngineParams) -> list[Note]:
    if item.capacity < 1:
        return _refused("bad_capacity", item.at_ms, rider_id=item.rider_id)
    known = draft.rider(item.rider_id)
    terms = {
        "online": True,
        "shift_end_ms": item.shift_end_ms,
        "capacity": item.capacity,
        "vehicle": item.vehicle,
        "zone": item.zone,
        "moved_to": "",
    }
    if known is None:
        draft.put_rider(Rider(rider_id=item.rider_id, rested_ms=item.at_ms, **terms))  # type: ignore[arg-type]
        return []
    if all(getattr(known, name) == value for name, value in terms.items()):
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(known, **terms))  # type: ignore[arg-type]
    return []


@_take.register
def _(item: RiderOffline, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None:
        return _refused("unknown_rider", item.at_ms, rider_id=item.rider_id)
    if not rider.online:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, online=False))
    offer = draft.offer(rider.offer_id) if rider.offer_id is not None else None
    if offer is not None:
        _retract(offer, draft, item.at_ms)
    return _leave_behind(draft, rider, _awaiting(rider), item.at_ms)


def _awaiting(rider: Rider) -> list[OrderId]:
    """Orders the rider has accepted and not yet picked up."""
    return [o for s in rider.stops if s.kind is StopKind.PICKUP for o in s.order_ids]


def _leave_behind(draft: Draft, rider: Rider, order_ids: Iterable[OrderId], at_ms: int) -> list[Note]:
    notes = []
    for order_id in order_ids:
        order = draft.order(order_id)
        if order is not None:
            hand_back(draft, order, at_ms)
            notes.append(Note(NoteKind.UNASSIGNED, at_ms, order_id, rider.rider_id))
    return notes


@_take.register
def _(item: OfferReplied, draft: Draft, params: EngineParams) -> list[Note]:
    offer = draft.offer(item.offer_id)
    if offer is None or offer.rider_id != item.rider_id:
        return _refused("offer_not_live", item.at_ms, rider_id=item.rider_id)
    orders = _orders_of(offer, draft)
    if not item.accepted:
        draft.end_offer(offer, OfferStatus.DECLINED, item.at_ms)
        _answered(draft, offer.rider_id, refused=True)
        _cool_down(draft, offer.rider_id, orders, item.at_ms, params)
        reopen(draft, orders)
        sweep(draft, offer.rider_id, item.at_ms)
        return []
    rider = draft.rider(offer.rider_id)
    if rider is None or not take_on(draft, rider, offer, orders):
        draft.end_offer(offer, OfferStatus.RETRACTED, item.at_ms)
        reopen(draft, orders)
        return _refused("plan_moved_on", item.at_ms, rider_id=item.rider_id)
    draft.end_offer(offer, OfferStatus.ACCEPTED, item.at_ms)
    _answered(draft, offer.rider_id, refused=False)
    return [Note(NoteKind.ASSIGNED, item.at_ms, o.order_id, offer.rider_id) for o in orders]


@_take.register
def _(item: RiderArrived, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None or rider.heading is None:
        return _refused("no_pickup_ahead", item.at_ms, rider_id=item.rider_id)
    if rider.arrived:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    pickup = replace(rider.stops[0], arrive_ms=item.at_ms)
    draft.put_rider(replace(rider, arrived=True, stops=(pickup, *rider.stops[1:])))
    return []


@_take.register
def _(item: PickedUp, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None:
        return _refused("unknown_rider", item.at_ms, rider_id=item.rider_id)
    pickup = rider.stops[0] if rider.stops else None
    held = pickup.order_ids if pickup is not None and pickup.kind is StopKind.PICKUP else ()
    taken = [o for o in held if o in item.order_ids]
    if not taken:
        known = [draft.order(o) for o in item.order_ids]
        if any(o is not None and o.status is OrderStatus.PICKED_UP for o in known):
            return _duplicate(item.at_ms, rider_id=item.rider_id)
        return _refused("not_to_pick_up", item.at_ms, rider_id=item.rider_id)
    left = _leave_behind(draft, rider, [o for o in held if o not in taken], item.at_ms)
    return left + _load_up(draft, item, taken)


def _load_up(draft: Draft, item: PickedUp, taken: list[OrderId]) -> list[Note]:
    for order_id in taken:
        order = draft.order(order_id)
        assert order is not None
        draft.put_order(replace(order, status=OrderStatus.PICKED_UP, picked_up_ms=item.at_ms))
    rider = draft.rider(item.rider_id)
    assert rider is not None
    drops = shifted(rider.stops[1:], item.at_ms - rider.stops[0].done_ms)
    draft.put_rider(replace(rider, stops=drops, arrived=False))
    return [Note(NoteKind.PICKED_UP, item.at_ms, o, item.rider_id) for o in taken]


@_take.register
def _(item: Delivered, draft: Draft, params: EngineParams) -> list[Note]:
    order = draft.order(item.order_id)
    if order is None:
        if draft.has_ended(item.order_id):
            return _duplicate(item.at_ms, item.order_id, item.rider_id)
        return _refused("unknown_order", item.at_ms, item.order_id, item.rider_id)
    rider = draft.rider(item.rider_id)
    if rider is None or order.rider_id != item.rider_id or order.status is not OrderStatus.PICKED_UP:
        return _refused("not_on_board", item.at_ms, item.order_id, item.rider_id)
    draft.put_order(replace(order, status=OrderStatus.DELIVERED, ended_ms=item.at_ms))
    done = next(s for s in rider.stops if item.order_id in s.order_ids)
    late_ms = item.at_ms - done.done_ms
    rest = shifted(tuple(s for s in rider.stops if s is not done), late_ms)
    rested_ms = done.leave_ms + late_ms
    draft.put_rider(replace(rider, stops=rest, load=rider.load - order.size, rested_ms=rested_ms))
    return [Note(NoteKind.DELIVERED, item.at_ms, item.order_id, item.rider_id)]


@_take.register
def _(item: RiderLent, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.online:
        return _refused("not_online", item.at_ms, rider_id=item.rider_id)
    if rider.loan is not None and rider.loan.state is not LoanState.RETURNED:
        if rider.loan.loan_id == item.loan.loan_id:
            return _duplicate(item.at_ms, rider_id=item.rider_id)
        return _refused("on_loan", item.at_ms, rider_id=item.rider_id)
    if rider.stops or rider.offer_id is not None:
        return _refused("busy", item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, loan=item.loan))
    return [Note(NoteKind.LENT, item.at_ms, rider_id=item.rider_id)]


@_take.register
def _(item: RiderBorrowed, draft: Draft, params: EngineParams) -> list[Note]:
    known = draft.rider(item.rider_id)
    if known is not None and known.loan is not None and known.loan.lent_ms >= item.loan.lent_ms:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(
        Rider(
            rider_id=item.rider_id,
            online=True,
            shift_end_ms=min(item.shift_end_ms, item.loan.until_ms),
            capacity=item.capacity,
            vehicle=item.vehicle,
            zone=item.zone,
            rested_ms=max(item.at_ms, item.free_ms),
            loan=item.loan,
        )
    )
    return []


@_take.register
def _(item: RiderReturned, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.lent or rider.loan is None or rider.loan.loan_id != item.loan_id:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, loan=None, rested_ms=max(rider.rested_ms, item.free_ms)))
    return []


@_take.register
def _(item: RiderMovedOut, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None:  # never on shift here; remembered, so that whoever hands it over hears that it is granted
        rider = Rider(item.rider_id, online=False, shift_end_ms=0, capacity=1, vehicle=Vehicle.MOTORBIKE)
    if rider.moved_to == item.to_city:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    if rider.stops or rider.offer_id is not None or rider.lent or rider.borrowed:
        return _refused("not_idle", item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, online=False, moved_to=item.to_city))
    return []


@_take.register
def _(item: RiderMovedIn, draft: Draft, params: EngineParams) -> list[Note]:
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.moved_to:
        return _duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, moved_to=""))
    return []


def _send_home(draft: Draft, now_ms: int, params: EngineParams) -> list[Note]:
    """Borrowed riders with nothing to do go home after a while, at the end of the loan at once."""
    notes = []
    for rider in draft.borrowed():
        idle_ms = now_ms - rider.rested_ms
        wanted = rider.online and now_ms < rider.shift_end_ms and idle_ms < params.loans.idle_s * 1000
        if rider.loan is None or rider.stops or rider.offer_id is not None or wanted:
            continue
        draft.put_rider(replace(rider, online=False, loan=replace(rider.loan, state=LoanState.RETURNED)))
        notes.append(Note(NoteKind.RETURNED, now_ms, rider_id=rider.rider_id))
    return notes


def _expire(draft: Draft, now_ms: int, params: EngineParams) -> list[Note]:
    notes = []
    for offer in draft.offers():
        if offer.expires_ms <= now_ms:
            orders = _orders_of(offer, draft)
            draft.end_offer(offer, OfferStatus.EXPIRED, now_ms)
            _answered(draft, offer.rider_id, refused=True)
            _cool_down(draft, offer.rider_id, orders, now_ms, params)
            reopen(draft, orders)
            sweep(draft, offer.rider_id, now_ms)
            notes.append(Note(NoteKind.EXPIRED, now_ms, rider_id=offer.rider_id))
    return notes


def _orders_of(offer: Offer, draft: Draft) -> list[Order]:
    return [o for o in map(draft.order, offer.order_ids) if o is not None]


def _retract_offer_of(order: Order, draft: Draft, at_ms: int) -> None:
    for offer in draft.offers():
        if order.order_id in offer.order_ids:
            _retract(offer, draft, at_ms)


def _retract(offer: Offer, draft: Draft, at_ms: int) -> None:
    orders = _orders_of(offer, draft)
    draft.end_offer(offer, OfferStatus.RETRACTED, at_ms)
    reopen(draft, orders)
    sweep(draft, offer.rider_id, at_ms)


def _answered(draft: Draft, rider_id: RiderId, *, refused: bool) -> None:
    """Remember how the rider answers; what it did long ago counts ever less."""
    rider = draft.rider(rider_id)
    if rider is not None:
        answered, refusals = rider.offers_answered + 1, rider.offers_refused + refused
        if answered > ANSWERS_KEPT:
            answered, refusals = answered // 2, refusals // 2
        draft.put_rider(replace(rider, offers_answered=answered, offers_refused=refusals))


def _cool_down(draft: Draft, rider_id: RiderId, orders: list[Order], at_ms: int, params: EngineParams) -> None:
    until_ms = at_ms + round(params.offers.cooldown_s * 1000)
    for order in orders:
        draft.put_cooldown(Cooldown(rider_id, order.order_id, until_ms))
