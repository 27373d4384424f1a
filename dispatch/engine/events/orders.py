"""Events about orders: opened, delayed, cancelled, picked up, delivered."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.events.offers import retract_offer_of
from dispatch.engine.events.riders import leave_behind
from dispatch.engine.inputs import Delivered, OrderCancelled, OrderOpened, OrderReadyChanged, PickedUp
from dispatch.engine.model import Order, OrderId, OrderStatus, StopKind
from dispatch.engine.notes import Note, NoteKind, duplicate, refused
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import hand_back, shifted
from dispatch.engine.state import Draft


def open_order(item: OrderOpened, draft: Draft, params: EngineParams) -> list[Note]:
    """Add an order that waits for a rider."""
    if draft.order(item.order_id) is not None or draft.has_ended(item.order_id):
        return duplicate(item.at_ms, item.order_id)
    if item.size < 1:
        return refused("bad_size", item.at_ms, item.order_id)
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


def change_ready_time(item: OrderReadyChanged, draft: Draft, params: EngineParams) -> list[Note]:
    """Change when the food of an order is ready; too late once it is picked up."""
    order = draft.order(item.order_id)
    if order is None or order.status is OrderStatus.PICKED_UP:
        return refused("too_late", item.at_ms, item.order_id)
    draft.put_order(replace(order, ready_ms=item.ready_ms))
    return []


def cancel_order(item: OrderCancelled, draft: Draft, params: EngineParams) -> list[Note]:
    """Cancel an order that nobody has picked up, and take it out of its offer or plan."""
    order = draft.order(item.order_id)
    if order is None:
        if draft.has_ended(item.order_id):
            return duplicate(item.at_ms, item.order_id)
        return refused("unknown_order", item.at_ms, item.order_id)
    if order.status is OrderStatus.PICKED_UP:
        return refused("on_board", item.at_ms, item.order_id, order.rider_id)
    if order.status is OrderStatus.OFFERED:
        retract_offer_of(order, draft, item.at_ms)
    elif order.status is OrderStatus.ASSIGNED:
        hand_back(draft, order, item.at_ms)
    draft.put_order(replace(order, status=OrderStatus.CANCELLED, ended_ms=item.at_ms))
    return [Note(NoteKind.CANCELLED, item.at_ms, order.order_id, order.rider_id)]


def pick_up(item: PickedUp, draft: Draft, params: EngineParams) -> list[Note]:
    """Load the orders of the next pickup; those left at the counter wait for another rider."""
    rider = draft.rider(item.rider_id)
    if rider is None:
        return refused("unknown_rider", item.at_ms, rider_id=item.rider_id)
    pickup = rider.stops[0] if rider.stops else None
    held = pickup.order_ids if pickup is not None and pickup.kind is StopKind.PICKUP else ()
    taken = [o for o in held if o in item.order_ids]
    if not taken:
        known = [draft.order(o) for o in item.order_ids]
        if any(o is not None and o.status is OrderStatus.PICKED_UP for o in known):
            return duplicate(item.at_ms, rider_id=item.rider_id)
        return refused("not_to_pick_up", item.at_ms, rider_id=item.rider_id)
    left = leave_behind(draft, rider, [o for o in held if o not in taken], item.at_ms)
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


def deliver(item: Delivered, draft: Draft, params: EngineParams) -> list[Note]:
    """End an order that its rider has on board."""
    order = draft.order(item.order_id)
    if order is None:
        if draft.has_ended(item.order_id):
            return duplicate(item.at_ms, item.order_id, item.rider_id)
        return refused("unknown_order", item.at_ms, item.order_id, item.rider_id)
    rider = draft.rider(item.rider_id)
    if rider is None or order.rider_id != item.rider_id or order.status is not OrderStatus.PICKED_UP:
        return refused("not_on_board", item.at_ms, item.order_id, item.rider_id)
    draft.put_order(replace(order, status=OrderStatus.DELIVERED, ended_ms=item.at_ms))
    done = next(s for s in rider.stops if item.order_id in s.order_ids)
    late_ms = item.at_ms - done.done_ms
    rest = shifted(tuple(s for s in rider.stops if s is not done), late_ms)
    rested_ms = done.leave_ms + late_ms
    draft.put_rider(replace(rider, stops=rest, load=rider.load - order.size, rested_ms=rested_ms))
    return [Note(NoteKind.DELIVERED, item.at_ms, item.order_id, item.rider_id)]
