"""Solution to decisions: what must be said now is said, everything else stays open.

Commit late: an order is offered only when its rider must start moving (`OfferParams.lead_s` before), so
every later tick may still find a better match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.matching.cost import TERMS, weights
from dispatch.matching.pairs import Pairs, feasible_pairs
from dispatch.matching.problem import Assigned, Problem, Solution
from dispatch.matching.timing import TimedTrip, timed_trips
from dispatch.model import Offer, OfferId, Order, OrderId, OrderStatus, Rider, RiderId, Stop, StopKind
from dispatch.params import EngineParams
from dispatch.plan import hand_back
from dispatch.records import DecisionRecord, alternatives
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
        self.timed = timed_trips(problem, params.service, solution.assigned)
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
        for row in np.flatnonzero(self.problem.orders.holder >= 0).tolist():
            holder = int(self.problem.orders.holder[row])
            if holder in self.given and meant.get(row, -1) != holder:
                order = self._order(row)
                hand_back(self.draft, order, self.problem.now_ms, on_the_way=True)
                self.released.append((order.order_id, self.problem.riders.ids[holder]))

    def consider(self, assigned: Assigned) -> None:
        trip = self.timed[assigned.rider]
        bound = self.problem.riders.heading[assigned.rider] >= 0
        if not bound and trip.start_s > self.params.offers.lead_s:
            return
        rider = self.draft.rider(self.problem.riders.ids[assigned.rider])
        assert rider is not None
        orders = [self._order(o) for o in assigned.orders]
        new = [o for o in orders if o.rider_id != rider.rider_id]
        if any(o.rider_id is not None for o in new):
            return  # Held by a rider the solver left without an answer: not to be taken from it.
        stops = self._stops(trip, orders)
        if new:
            self._offer(assigned, rider, new, stops)
        elif stops != rider.stops or any(rider.rider_id == loser for _, loser in self.released):
            self.draft.put_rider(replace(rider, stops=stops))
            self.rerouted.append(rider.rider_id)

    def _order(self, row: int) -> Order:
        order = self.draft.order(self.problem.orders.ids[row])
        assert order is not None
        return order

    def _stops(self, trip: TimedTrip, orders: list[Order]) -> tuple[Stop, ...]:
        service = self.params.service
        restaurant_id = orders[0].restaurant_id
        ids = tuple(o.order_id for o in orders)
        leave_s = trip.pickup_s + service.pickup_s / 2
        at_counter = (self._ms(trip.arrive_s), self._ms(trip.pickup_s), self._ms(leave_s))
        stops = [Stop(StopKind.PICKUP, ids, restaurant_id, orders[0].pickup, *at_counter)]
        half_s = service.dropoff_s / 2
        for order, drop_s in zip(orders, trip.drop_s, strict=True):
            at_door = (self._ms(drop_s - half_s), self._ms(drop_s), self._ms(drop_s + half_s))
            stops.append(Stop(StopKind.DROP, (order.order_id,), restaurant_id, order.drop, *at_door))
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
        weighted = (self.timed[assigned.rider].terms * weights(self.params.cost)).tolist()
        others = [alternatives(self.problem, self._pairs, o, assigned.rider, self.given) for o in assigned.orders]
        ids = tuple(self.problem.orders.ids[o] for o in assigned.orders)
        return DecisionRecord(
            offer_id=offer.offer_id,
            rider_id=offer.rider_id,
            order_ids=ids,
            cost=round(sum(weighted), 3),
            terms=tuple((name, round(value, 3)) for name, value in zip(TERMS, weighted, strict=True)),
            candidates=others[0][0],
            alternatives=tuple((order_id, found) for order_id, (_, found) in zip(ids, others, strict=True)),
        )
