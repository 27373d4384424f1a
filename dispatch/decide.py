"""Solution to decisions: what must be said now is said, everything else stays open.

Commit late: an order is offered only when its rider must start moving (`OfferParams.lead_s` before), so
every later tick may still find a better match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.matching.cost import Trips, trips
from dispatch.matching.pairs import Pairs, feasible_pairs
from dispatch.matching.problem import Assigned, Floats, Problem, Solution
from dispatch.model import Offer, OfferId, Order, OrderId, OrderStatus, Rider, RiderId, Stop, StopKind
from dispatch.params import EngineParams
from dispatch.plan import hand_back
from dispatch.records import DecisionRecord, alternatives, weighted_terms
from dispatch.state import Changes, Draft


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a tick decided. Everything is in `changes` too, which the tick's transaction stores.

    `released` are (order, rider) pairs taken out of a rider's accepted plan; `rerouted` riders whose plan
    changed without being asked. Both need a new route on the rider's screen.
    """

    offers: tuple[Offer, ...]
    released: tuple[tuple[OrderId, RiderId], ...]
    rerouted: tuple[RiderId, ...]
    records: tuple[DecisionRecord, ...]
    solution: Solution
    changes: Changes


def decide(draft: Draft, problem: Problem, solution: Solution, tick_id: str, params: EngineParams) -> Decisions:
    """Turn the part of the solution that is due into offers and plan changes on the draft.

    `tick_id` is unique per tick of a city; offers are named after it.
    """
    maker = _Maker(draft, problem, solution, tick_id, params)
    for assigned in solution.assigned:
        maker.consider(assigned)
    return Decisions(
        offers=tuple(maker.offers),
        released=tuple(maker.released),
        rerouted=tuple(maker.rerouted),
        records=tuple(maker.records),
        solution=solution,
        changes=draft.changes(),
    )


class _Maker:
    def __init__(self, draft: Draft, problem: Problem, solution: Solution, tick_id: str, params: EngineParams) -> None:
        self.draft, self.problem, self.params, self.tick_id = draft, problem, params, tick_id
        self.given = {a.rider: a.orders for a in solution.assigned}
        self.approach_s = {
            (int(r), int(k)): float(s)
            for r, k, s in zip(problem.edges.rider, problem.edges.restaurant, problem.edges.approach_s, strict=True)
        }
        self.offers: list[Offer] = []
        self.released: list[tuple[OrderId, RiderId]] = []
        self.rerouted: list[RiderId] = []
        self.records: list[DecisionRecord] = []
        self._pairs: Pairs | None = None
        self._release_moved(solution)

    def _release_moved(self, solution: Solution) -> None:
        """Orders meant for another rider, or for none, leave the plan that holds them.

        A holder the solver gave nothing to keeps its plan as it is.
        """
        meant = {o: a.rider for a in solution.assigned for o in a.orders}
        for row, holder in enumerate(self.problem.orders.holder.tolist()):
            if holder >= 0 and holder in self.given and meant.get(row, -1) != holder:
                order = self._order(row)
                rider_id = self.problem.riders.ids[holder]
                hand_back(self.draft, order, self.problem.now_ms, on_the_way=True)
                self.released.append((order.order_id, rider_id))

    def consider(self, assigned: Assigned) -> None:
        rider = self.draft.rider(self.problem.riders.ids[assigned.rider])
        assert rider is not None
        orders = [self._order(o) for o in assigned.orders]
        new = [o for o in orders if o.rider_id != rider.rider_id]
        if any(o.rider_id is not None for o in new):
            return  # Held by a rider the solver left without an answer: not to be taken from it.
        if rider.heading is None and not self._due(assigned):
            return
        stops = self._stops(assigned, orders)
        if new:
            self._offer(assigned, rider, new, stops)
        elif stops != rider.stops or any(rider.rider_id == loser for _, loser in self.released):
            self.draft.put_rider(replace(rider, stops=stops))
            self.rerouted.append(rider.rider_id)

    def _order(self, row: int) -> Order:
        order = self.draft.order(self.problem.orders.ids[row])
        assert order is not None
        return order

    def _ways_s(self, orders: tuple[int, ...]) -> Floats:
        """Restaurant to first drop, then from drop to drop."""
        k = int(self.problem.orders.restaurant[orders[0]])
        at = np.searchsorted(self.problem.members[k], orders)
        legs = self.problem.legs_s[k][at[:-1], at[1:]]
        return np.concatenate([self.problem.orders.direct_s[[orders[0]]], legs])

    def _approach_s(self, assigned: Assigned) -> float:
        return self.approach_s[assigned.rider, int(self.problem.orders.restaurant[assigned.orders[0]])]

    def _trip(self, assigned: Assigned) -> Trips:
        ready_s = self.problem.orders.ready_s[list(assigned.orders)].max()
        return trips(
            self.problem,
            self.params.service,
            np.array([assigned.rider]),
            np.array([self._approach_s(assigned)]),
            np.array([ready_s]),
            self._ways_s(assigned.orders)[None, :],
        )

    def _due(self, assigned: Assigned) -> bool:
        return float(self._trip(assigned).start_s[0]) <= self.params.offers.lead_s

    def _stops(self, assigned: Assigned, orders: list[Order]) -> tuple[Stop, ...]:
        trip = self._trip(assigned)
        service = self.params.service
        riders = self.problem.riders
        way_s = self._approach_s(assigned) * float(riders.pace[assigned.rider])
        restaurant_id = orders[0].restaurant_id
        pickup_s = float(trip.pickup_s[0])
        stops = [
            Stop(
                StopKind.PICKUP,
                tuple(o.order_id for o in orders),
                restaurant_id,
                orders[0].pickup,
                self._ms(float(riders.free_s[assigned.rider]) + way_s),
                self._ms(pickup_s),
                self._ms(pickup_s + service.pickup_s / 2),
            )
        ]
        half_s = service.dropoff_s / 2
        for order, drop_s in zip(orders, trip.drop_s[0].tolist(), strict=True):
            times = (self._ms(drop_s - half_s), self._ms(drop_s), self._ms(drop_s + half_s))
            stops.append(Stop(StopKind.DROP, (order.order_id,), restaurant_id, order.drop, *times))
        return tuple(stops)

    def _ms(self, seconds: float) -> int:
        return self.problem.now_ms + round(seconds * 1000)

    def _offer(self, assigned: Assigned, rider: Rider, new: list[Order], stops: tuple[Stop, ...]) -> None:
        now_ms = self.problem.now_ms
        offer = Offer(
            offer_id=OfferId(f"{self.tick_id}-{len(self.offers)}"),
            rider_id=rider.rider_id,
            order_ids=tuple(o.order_id for o in new),
            made_ms=now_ms,
            expires_ms=now_ms + round(self.params.offers.timeout_s * 1000),
            restaurant_id=new[0].restaurant_id,
            stops=stops,
            joins=rider.heading is not None,
        )
        self.offers.append(offer)
        self.draft.put_offer(offer)
        self.draft.put_rider(replace(rider, offer_id=offer.offer_id))
        for order in new:
            self.draft.put_order(replace(order, status=OrderStatus.OFFERED, rider_id=rider.rider_id))
        self.records.append(self._record(offer, assigned))

    def _record(self, offer: Offer, assigned: Assigned) -> DecisionRecord:
        if self._pairs is None:
            self._pairs = feasible_pairs(self.problem, self.params)
        named = weighted_terms(
            self.problem,
            self.params,
            assigned.rider,
            assigned.orders,
            self._approach_s(assigned),
            self._ways_s(assigned.orders),
        )
        others = [alternatives(self.problem, self._pairs, o, assigned.rider, self.given) for o in assigned.orders]
        ids = tuple(self.problem.orders.ids[o] for o in assigned.orders)
        return DecisionRecord(
            offer_id=offer.offer_id,
            rider_id=offer.rider_id,
            order_ids=ids,
            cost=round(sum(value for _, value in named), 3),
            terms=tuple((name, round(value, 3)) for name, value in named),
            candidates=others[0][0],
            alternatives=tuple((order_id, found) for order_id, (_, found) in zip(ids, others, strict=True)),
        )
