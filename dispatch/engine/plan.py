"""Change a rider's plan: add orders, take them back, move times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dispatch.engine.model import Offer, Order, OrderStatus, Rider, RiderId, Stop, StopKind
from dispatch.engine.state import Draft


def shifted(stops: Iterable[Stop], late_ms: int) -> tuple[Stop, ...]:
    """The stops, all expected `late_ms` later."""
    return tuple(
        replace(
            s,
            arrive_ms=s.arrive_ms + late_ms,
            done_ms=s.done_ms + late_ms,
            leave_ms=s.leave_ms + late_ms,
        )
        for s in stops
    )


def reopen(draft: Draft, orders: Iterable[Order]) -> None:
    """Orders of an offer that came to nothing wait for a rider again."""
    for order in orders:
        draft.put_order(replace(order, status=OrderStatus.OPEN, rider_id=None))


def take_on(draft: Draft, rider: Rider, offer: Offer, orders: list[Order]) -> bool:
    """Make an accepted offer the rider's plan; False if the rider's plan no longer allows it."""
    if offer.joins:
        if rider.heading != offer.restaurant_id:
            return False
        stops = offer.stops
    else:
        if any(s.kind is StopKind.PICKUP for s in rider.stops):
            return False
        stops = (*rider.stops, *offer.stops)
    for order in orders:
        draft.put_order(replace(order, status=OrderStatus.ASSIGNED, rider_id=rider.rider_id))
    load = rider.load + sum(o.size for o in orders)
    draft.put_rider(replace(rider, stops=stops, load=load))
    return True


def hand_back(draft: Draft, order: Order, at_ms: int, on_the_way: bool = False) -> None:
    """Take an order not yet picked up out of its rider's plan; it waits for a rider again.

    The times of the stops that stay are left as they are: never too early, put right when the next
    stop is done. `on_the_way` keeps the pickup stop even if nothing is left to fetch there: the rider is
    about to be offered another order of that restaurant.
    """
    rider = draft.rider(order.rider_id) if order.rider_id is not None else None
    if rider is not None:
        stops = tuple(_without(s, order) for s in rider.stops)
        stops = tuple(s for s in stops if s.order_ids or s.kind is StopKind.PICKUP)
        rider = replace(rider, stops=stops, load=rider.load - order.size)
        draft.put_rider(rider if on_the_way else _swept(rider, at_ms))
    draft.put_order(replace(order, status=OrderStatus.OPEN, rider_id=None))


def sweep(draft: Draft, rider_id: RiderId, at_ms: int) -> None:
    """Drop stops with nothing left to do there."""
    rider = draft.rider(rider_id)
    if rider is not None and any(not s.order_ids for s in rider.stops):
        draft.put_rider(_swept(rider, at_ms))


def _swept(rider: Rider, at_ms: int) -> Rider:
    stops = tuple(s for s in rider.stops if s.order_ids)
    return replace(
        rider,
        stops=stops,
        arrived=rider.arrived and bool(stops) and stops[0].kind is StopKind.PICKUP,
        rested_ms=rider.rested_ms if stops else max(rider.rested_ms, at_ms),
    )


def _without(stop: Stop, order: Order) -> Stop:
    return replace(stop, order_ids=tuple(o for o in stop.order_ids if o != order.order_id))
