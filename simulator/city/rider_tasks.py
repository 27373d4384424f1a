"""Stops a rider has still to make: those of the last route and of orders accepted since, less those done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from simulator.city.model import Offer, OfferId, OrderId, Route, Stop, StopKind

#: Ids of orders long delivered that are remembered, so that a late route does not bring them back.
_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class _Promise:
    """An order said yes to that no route has shown yet."""

    offer_id: OfferId
    forget_ms: int


class RiderTasks:
    """The stops ahead.

    Routes come late and out of step with what the rider does: a route that still shows a finished stop does not bring
    it back, and one that misses an order on board does not lose it.
    """

    def __init__(self) -> None:
        self._version = 0
        self._plan: tuple[Stop, ...] = ()
        self._promised: dict[OrderId, _Promise] = {}
        self._on_board: dict[OrderId, Stop] = {}
        self._delivered: dict[OrderId, None] = {}

    def stops(self) -> tuple[Stop, ...]:
        """The stops still ahead, in order; drops of food on board that the plan misses come last."""
        ahead = [stop for stop in map(self._left_of, self._plan) if stop.order_ids]
        to_pick = _orders(ahead, StopKind.PICKUP)
        doable = [
            stop
            for stop in ahead
            if stop.kind is StopKind.PICKUP or any(o in self._on_board or o in to_pick for o in stop.order_ids)
        ]
        planned = _orders(doable, StopKind.DROP)
        return (*doable, *(stop for order_id, stop in self._on_board.items() if order_id not in planned))

    def follow(self, route: Route) -> bool:
        """Takes a route over; False for one that is no newer than the last."""
        if route.version <= self._version:
            return False
        self._version = route.version
        promised = [stop for stop in self._plan if all(o in self._promised for o in stop.order_ids)]
        shown = {order_id for stop in route.stops for order_id in stop.order_ids}
        for order_id in shown:
            self._promised.pop(order_id, None)
        kept = [stop for stop in promised if not shown.intersection(stop.order_ids)]
        self._plan = (*route.stops, *kept)
        return True

    def take(self, offer: Offer, *, forget_ms: int) -> None:
        """Goes by the stops of an accepted offer until a route shows them, or until `forget_ms`."""
        known = {order_id for stop in self.stops() for order_id in stop.order_ids}
        offered = {order_id for stop in offer.stops for order_id in stop.order_ids}
        self._plan = offer.stops if offered & known else (*self.stops(), *offer.stops)
        for order_id in offered - known:
            self._promised[order_id] = _Promise(offer.offer_id, forget_ms)

    def forget(self, offer_id: OfferId) -> bool:
        """Takes an accepted offer that came to nothing out of the plan; False when a route has confirmed it."""
        gone = [order_id for order_id, promise in self._promised.items() if promise.offer_id == offer_id]
        self._drop(gone)
        return bool(gone)

    def forget_unconfirmed(self, order_ids: Iterable[OrderId]) -> None:
        """Takes those of the orders that no route has shown out of the plan."""
        self._drop([order_id for order_id in order_ids if order_id in self._promised])

    def unconfirmed_until_ms(self, order_ids: Iterable[OrderId]) -> int:
        """Time up to which to wait for a route that shows all of the orders; 0 when it has come."""
        promises = [self._promised[o] for o in order_ids if o in self._promised]
        return max((promise.forget_ms for promise in promises), default=0)

    def picked_up(self, order_ids: Iterable[OrderId]) -> None:
        """The food is on board."""
        drops = {o: stop for stop in self._plan if stop.kind is StopKind.DROP for o in stop.order_ids}
        for order_id in order_ids:
            if order_id in drops:
                self._on_board[order_id] = replace(drops[order_id], order_ids=(order_id,))

    def delivered(self, order_id: OrderId) -> None:
        """The customer has it."""
        self._on_board.pop(order_id, None)
        self._delivered[order_id] = None
        if len(self._delivered) > _REMEMBERED:
            self._delivered.pop(next(iter(self._delivered)))

    def _left_of(self, stop: Stop) -> Stop:
        done = set(self._delivered)
        if stop.kind is StopKind.PICKUP:
            done |= self._on_board.keys()
        left = tuple(order_id for order_id in stop.order_ids if order_id not in done)
        return stop if left == stop.order_ids else replace(stop, order_ids=left)

    def _drop(self, order_ids: Iterable[OrderId]) -> None:
        gone = set(order_ids)
        for order_id in gone:
            self._promised.pop(order_id, None)
        kept = (replace(s, order_ids=tuple(o for o in s.order_ids if o not in gone)) for s in self._plan)
        self._plan = tuple(stop for stop in kept if stop.order_ids)


def _orders(stops: Iterable[Stop], kind: StopKind) -> set[OrderId]:
    return {order_id for stop in stops if stop.kind is kind for order_id in stop.order_ids}
