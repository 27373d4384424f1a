"""Holdings: the rider that has an order and its place in the load, guarded by unique indexes.

A holding begins with the offer, gets a place in the load (column `slot`) when the rider accepts, and ends when the
order ends or goes back. The lowest free place is taken, so two writers who both think a rider has room collide in the
index, whatever they believe.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId


@dataclass(frozen=True, slots=True)
class Holding:
    """An order with a rider; `place` is None while it is only offered."""

    order_id: OrderId
    rider_id: RiderId
    place: int | None


@dataclass(frozen=True, slots=True)
class HoldingChanges:
    """Changes of a tick, to be written in this order: ends, then begins, then places of accepted offers."""

    ended: tuple[OrderId, ...] = ()
    begun: tuple[Holding, ...] = ()
    accepted: tuple[Holding, ...] = ()


_OFFERED = frozenset({OrderStatus.OFFERED})
_TAKEN = frozenset({OrderStatus.ASSIGNED, OrderStatus.PICKED_UP})


@dataclass(slots=True)
class Holdings:
    """Live holdings of a city. Changed by `commit` only."""

    live: dict[OrderId, Holding] = field(default_factory=dict)

    @staticmethod
    def load(holdings: Iterable[Holding]) -> Holdings:
        """Make them from stored rows."""
        return Holdings({h.order_id: h for h in holdings})

    def plan(self, changed: Iterable[Order]) -> HoldingChanges:
        """Work out which holdings begin, end and become accepted with the changed orders."""
        orders = list(changed)
        ended = tuple(o.order_id for o in orders if self._ends(o))
        gone = set(ended)
        taken: dict[RiderId, set[int]] = {}
        for holding in self.live.values():
            if holding.place is not None and holding.order_id not in gone:
                taken.setdefault(holding.rider_id, set()).add(holding.place)
        begun: list[Holding] = []
        accepted: list[Holding] = []
        for order in orders:
            if order.rider_id is None or order.status not in _OFFERED | _TAKEN:
                continue
            held = None if order.order_id in gone else self.live.get(order.order_id)
            if held is not None and (held.place is not None or order.status in _OFFERED):
                continue
            place = _lowest_free(taken, order.rider_id) if order.status in _TAKEN else None
            holding = Holding(order.order_id, order.rider_id, place)
            (begun if held is None else accepted).append(holding)
        return HoldingChanges(ended, tuple(begun), tuple(accepted))

    def commit(self, changes: HoldingChanges) -> None:
        """Makes them true here, once they are in the database."""
        for order_id in changes.ended:
            self.live.pop(order_id, None)
        for holding in (*changes.begun, *changes.accepted):
            self.live[holding.order_id] = holding

    def _ends(self, order: Order) -> bool:
        held = self.live.get(order.order_id)
        if held is None:
            return False
        if order.ended or order.rider_id != held.rider_id:
            return True
        return held.place is not None and order.status in _OFFERED


def _lowest_free(taken: dict[RiderId, set[int]], rider_id: RiderId) -> int:
    places = taken.setdefault(rider_id, set())
    place = next(n for n in range(len(places) + 1) if n not in places)
    places.add(place)
    return place
