"""Solution to decisions: what must be said now is said, everything else stays open.

Commit late: an order is offered only when its rider must start moving (`OfferParams.lead_s` before), so
every later tick may still find a better match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.timing import TimedTrip, due_trips
from dispatch.engine.model import (
    Offer,
    OfferId,
    Order,
    OrderId,
    OrderStatus,
    RestaurantId,
    Rider,
    RiderId,
    Stop,
    StopKind,
)
from dispatch.engine.params import EngineParams
from dispatch.engine.plan import hand_back
from dispatch.engine.records import DecisionRecord, Recorder
from dispatch.engine.service_times import half_s
from dispatch.engine.state import Changes, Draft


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions of a tick. Everything is in `changes` too, which the tick's transaction stores.

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
    trips = due_trips(problem, params, solution.assigned)
    maker = _Maker(draft, problem, solution, trips, tick_id, params)
    for trip in trips:
        maker.consider(trip)
    return Decisions(
        offers=tuple(maker.offers),
        released=tuple(maker.released),
        rerouted=tuple(maker.rerouted),
        records=tuple(maker.records),
        solution=solution,
        changes=draft.changes(),
    )


class _Maker:
    def __init__(
        self,
        draft: Draft,
        problem: Problem,
        solution: Solution,
        trips: list[TimedTrip],
        tick_id: str,
        params: EngineParams,
    ) -> None:
        self.draft, self.problem, self.params, self.tick_id = draft, problem, params, tick_id
        self.given = {a.rider: a.orders for a in solution.assigned}
        self.offers: list[Offer] = []
        self.released: list[tuple[OrderId, RiderId]] = []
        self.rerouted: list[RiderId] = []
        self.records: list[DecisionRecord] = []
        self._recorder = Recorder(problem, params, trips, solution.busy_price)
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

    def consider(self, trip: TimedTrip) -> None:
        """Offer a trip that is due, or change the plan of a rider on its way."""
        rider = self.draft.rider(self.problem.riders.ids[trip.assigned.rider])
        assert rider is not None
        orders = [self._order(o) for o in trip.assigned.orders]
        new = [o for o in orders if o.rider_id != rider.rider_id]
        if any(o.rider_id is not None for o in new):
            return  # Held by a rider the solver left without an answer: not to be taken from it.
        stops = self._stops(trip, orders)
        if new:
            self._offer(trip, rider, new, stops)
        elif stops != rider.stops or any(rider.rider_id == loser for _, loser in self.released):
            self.draft.put_rider(replace(rider, stops=stops))
            self.rerouted.append(rider.rider_id)

    def _order(self, row: int) -> Order:
        order = self.draft.order(self.problem.orders.ids[row])
        assert order is not None
        return order

    def _stops(self, trip: TimedTrip, orders: list[Order]) -> tuple[Stop, ...]:
        """One stop a counter, in the order of `trip`, then one a door."""
        half = half_s(StopKind.PICKUP, self.params.service)
        stops = []
        for restaurant_id, arrive_s, pickup_s in zip(self._counters(trip), trip.arrive_s, trip.pickup_s, strict=True):
            here = [o for o in orders if o.restaurant_id == restaurant_id]
            ids = tuple(o.order_id for o in here)
            times = (self._ms(arrive_s), self._ms(pickup_s), self._ms(pickup_s + half))
            stops.append(Stop(StopKind.PICKUP, ids, restaurant_id, here[0].pickup, *times))
        half = half_s(StopKind.DROP, self.params.service)
        for order, drop_s in zip(orders, trip.drop_s, strict=True):
            times = (self._ms(drop_s - half), self._ms(drop_s), self._ms(drop_s + half))
            stops.append(Stop(StopKind.DROP, (order.order_id,), order.restaurant_id, order.drop, *times))
        return tuple(stops)

    def _counters(self, trip: TimedTrip) -> list[RestaurantId]:
        problem, assigned = self.problem, trip.assigned
        if assigned.link >= 0:
            return [problem.restaurant_ids[k] for k in problem.links.counters[assigned.link].tolist()]
        return [problem.restaurant_ids[problem.orders.restaurant[assigned.orders[0]]]]

    def _ms(self, seconds: float) -> int:
        return self.problem.now_ms + round(seconds * 1000)

    def _offer(self, trip: TimedTrip, rider: Rider, new: list[Order], stops: tuple[Stop, ...]) -> None:
        now_ms = self.problem.now_ms
        offer = Offer(
            offer_id=OfferId(f"{self.tick_id}-{len(self.offers)}"),
            rider_id=rider.rider_id,
            order_ids=tuple(o.order_id for o in new),
            made_ms=now_ms,
            expires_ms=now_ms + round(self.params.offers.timeout_s * 1000),
            restaurant_id=stops[0].restaurant_id,
            stops=stops,
            joins=rider.heading is not None,
        )
        self.offers.append(offer)
        self.draft.put_offer(offer)
        self.draft.put_rider(replace(rider, offer_id=offer.offer_id))
        for order in new:
            self.draft.put_order(replace(order, status=OrderStatus.OFFERED, rider_id=rider.rider_id))
        record = self._recorder.record(offer.offer_id, offer.rider_id, trip, self.given)
        if rider.loan is not None and rider.borrowed:
            record = replace(record, borrowed_from=rider.loan.home)
        self.records.append(record)
