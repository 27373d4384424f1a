"""Cost of giving orders to a rider, term by term.

A trip: the rider is free, rides to the restaurant (with orders of two restaurants then to the other), then from door to
door; `service_times` says when the food changes hands at each stop. Food counts as ready now at the earliest.

Terms, in seconds before their weights:

    delay        later at the door than the order could be at best (ready, straight there), summed
    late         expected lateness at the doors, summed: E max(0, drop - promised), the time of a drop being normal
                 about what is planned, its deviation `CostParams.spread` of the time until then
    waiting      food at the counter after it is ready, summed
    approach     way to the restaurant, and from the first to the second
    busy         from setting out to the end of the last drop
    idle         rider standing at the restaurant, if it set out as soon as it is free
    age          age of the rider's last fix: how far it may be from where it is thought to be
    refusal      chance that the rider declines or does not answer, each at `refusal_s`
    churn        orders taken away from the rider who has accepted them, each at `churn_s`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from dispatch.engine.matching.across import greatest, sum_of
from dispatch.engine.matching.problem import Floats, Ints, Problem
from dispatch.engine.model import StopKind
from dispatch.engine.params import CostParams, ServiceParams
from dispatch.engine.service_times import half_s, handovers_s

TERMS = ("delay", "late", "waiting", "approach", "busy", "idle", "age", "refusal", "churn")

Terms = tuple[Floats, ...]
"""An array (n,) for each of TERMS."""

CERTAIN = 4.0
"""Standard deviations from the promise beyond which chance plays no part any more."""


def weights(cost: CostParams, busy_price: float = 0.0) -> tuple[float, ...]:
    """The weight of each of TERMS; `busy_price` is what a rider's second costs on top in a crowded city."""
    of_rider = (cost.approach, cost.busy + busy_price, cost.idle, cost.age, cost.refusal_s)
    return (1.0, cost.late, cost.waiting, *of_rider, cost.churn_s)


def weighted(terms: Terms, cost: CostParams, busy_price: float = 0.0) -> Floats:
    """The cost of each trip, (n,)."""
    total = terms[0].copy()
    for term, weight in zip(terms[1:], weights(cost, busy_price)[1:], strict=True):
        if weight:
            total += term * weight
    return total


@dataclass(frozen=True, slots=True, eq=False)
class Trips:
    """Times of n trips of m orders from c counters: start_s (n,), arrive_s and pickup_s (n, c), drop_s (n, m),
    end_s (n,)."""

    start_s: Floats
    arrive_s: Floats
    pickup_s: Floats
    drop_s: Floats
    end_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Routes:
    """Routes of n trips: `orders` (n, m) rows in the order of their drops, `counter` (n, m) which counter each order
    is of, the first (0) or the second (1); `hop_s` (n,) the way between the two, None where all have one counter.

    `ways_s` (n, m): from the last counter to the first door, then from door to door. Ways are not paced.
    """

    orders: Ints
    ways_s: Floats
    counter: Ints | None = None
    hop_s: Floats | None = None

    def take(self, rows: Ints) -> Routes:
        """The routes at these rows."""
        if self.counter is None or self.hop_s is None:
            return Routes(self.orders[rows], self.ways_s[rows])
        return Routes(self.orders[rows], self.ways_s[rows], self.counter[rows], self.hop_s[rows])


def trips(problem: Problem, service: ServiceParams, rider: Ints, approach_s: Floats, routes: Routes) -> Trips:
    """Times of n riders at the stops of n routes."""
    pace = problem.riders.pace[rider]
    half_pickup, half_drop = half_s(StopKind.PICKUP, service), half_s(StopKind.DROP, service)
    way_s = approach_s * pace
    ready_s = problem.orders.ready_s[routes.orders]
    due_s = np.maximum(greatest(ready_s) if routes.counter is None else _ready_at(routes, ready_s, 0), 0.0)
    arrive_s = problem.riders.free_s[rider] + way_s
    first_s = handovers_s(arrive_s, half_pickup, due_s)
    if routes.counter is None or routes.hop_s is None:
        at_counter, picked = arrive_s[:, None], first_s[:, None]
    else:
        there_s = first_s + half_pickup + routes.hop_s * pace
        second_s = handovers_s(there_s, half_pickup, _ready_at(routes, ready_s, 1))
        at_counter, picked = np.stack([arrive_s, there_s], axis=1), np.stack([first_s, second_s], axis=1)
    drop_s = np.empty(routes.ways_s.shape)
    left_s = picked[:, -1] + half_pickup
    for door in range(routes.ways_s.shape[1]):
        drop_s[:, door] = handovers_s(left_s + routes.ways_s[:, door] * pace, half_drop)
        left_s = drop_s[:, door] + half_drop
    return Trips(first_s - half_pickup - way_s, at_counter, picked, drop_s, left_s)


def _ready_at(routes: Routes, ready_s: Floats, counter: int) -> Floats:
    """Time when all orders of the counter are ready, (n,)."""
    return greatest(np.where(routes.counter == counter, ready_s, -np.inf))


def best_drop_s(problem: Problem, service: ServiceParams) -> Floats:
    """The earliest an order can be at the door, were a rider waiting: the floor of its delay."""
    orders = problem.orders
    left_s = orders.ready_s + half_s(StopKind.PICKUP, service)
    return handovers_s(left_s + orders.direct_s, half_s(StopKind.DROP, service))


def terms(
    problem: Problem, service: ServiceParams, cost: CostParams, rider: Ints, approach_s: Floats, routes: Routes
) -> tuple[Terms, Trips]:
    """Terms of n trips and their times."""
    orders, riders, rows = problem.orders, problem.riders, routes.orders
    trip = trips(problem, service, rider, approach_s, routes)
    pace = riders.pace[rider]
    ride_s = approach_s * pace if routes.hop_s is None else (approach_s + routes.hop_s) * pace
    picked_s = trip.pickup_s if routes.counter is None else np.take_along_axis(trip.pickup_s, routes.counter, axis=1)
    found = (
        sum_of(trip.drop_s - best_drop_s(problem, service)[rows]),
        sum_of(expected_late_s(trip.drop_s, orders.promised_s[rows], cost.spread)),
        sum_of(picked_s - orders.ready_s[rows]),
        ride_s,
        trip.end_s - trip.start_s,
        trip.start_s - riders.free_s[rider],
        riders.age_s[rider],
        riders.refusal[rider],
        _moved(orders.holder, rider, rows),
    )
    return found, trip


def _moved(holder: Ints, rider: Ints, rows: Ints) -> Floats:
    """Orders of each trip that another rider has accepted, (n,)."""
    if not (holder >= 0).any():
        return np.zeros(len(rider))
    holders = holder[rows]
    return sum_of(((holders >= 0) & (holders != rider[:, None])).astype(np.float64))


def expected_late_s(drop_s: Floats, promised_s: Floats, spread: float) -> Floats:
    """E max(0, X - promised) for X normal about `drop_s` with deviation `spread * drop_s`.

    With d = drop - promised, sigma the deviation and z = d / sigma that is d Phi(z) + sigma phi(z); beyond
    `CERTAIN` deviations it is max(0, d).
    """
    over_s = drop_s - promised_s
    late_s: Floats = np.maximum(over_s, 0.0)
    if spread > 0:
        sigma_s = spread * np.maximum(drop_s, 1.0)
        open_ = np.abs(over_s) < CERTAIN * sigma_s
        sigma_s = sigma_s[open_]
        z = over_s[open_] / sigma_s
        density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
        late_s[open_] = sigma_s * (z * ndtr(z) + density)
    return late_s
