"""Times and terms of the trips a solution chose, all at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dispatch.matching.cost import terms
from dispatch.matching.problem import Assigned, Floats, Ints, Problem
from dispatch.params import ServiceParams


@dataclass(frozen=True, slots=True, eq=False)
class TimedTrip:
    """One trip in seconds from now: setting out, at the counter, food in hand, at each door; and its cost terms
    before weights."""

    start_s: float
    arrive_s: float
    pickup_s: float
    drop_s: tuple[float, ...]
    terms: Floats


def timed_trips(problem: Problem, service: ServiceParams, assigned: Iterable[Assigned]) -> dict[int, TimedTrip]:
    """The trip of every rider row that was given one."""
    by_size: dict[int, list[Assigned]] = {}
    for a in assigned:
        by_size.setdefault(len(a.orders), []).append(a)
    found: dict[int, TimedTrip] = {}
    for group in by_size.values():
        found |= _timed(problem, service, group)
    return found


def _timed(problem: Problem, service: ServiceParams, group: list[Assigned]) -> dict[int, TimedTrip]:
    """Trips with equally many orders."""
    rider = np.array([a.rider for a in group])
    orders = np.array([a.orders for a in group])
    approach_s = _approach_s(problem, rider, problem.orders.restaurant[orders[:, 0]])
    columns, trip = terms(problem, service, rider, approach_s, orders, _ways_s(problem, orders))
    arrive_s = problem.riders.free_s[rider] + approach_s * problem.riders.pace[rider]
    rows = zip(trip.start_s.tolist(), arrive_s.tolist(), trip.pickup_s.tolist(), trip.drop_s.tolist(), strict=True)
    return {
        a.rider: TimedTrip(start, arrive, pickup, tuple(drops), columns[i])
        for i, (a, (start, arrive, pickup, drops)) in enumerate(zip(group, rows, strict=True))
    }


def _approach_s(problem: Problem, rider: Ints, restaurant: Ints) -> Floats:
    """Edges are sorted by restaurant, then rider, so each is found by bisection."""
    width = len(problem.riders.ids)
    edges = problem.edges
    at = np.searchsorted(edges.restaurant * width + edges.rider, restaurant * width + rider)
    approach_s: Floats = edges.approach_s[at]
    return approach_s


def _ways_s(problem: Problem, orders: Ints) -> Floats:
    """Counter to the first door, then from door to door, (n, m)."""
    ways_s = np.empty(orders.shape)
    ways_s[:, 0] = problem.orders.direct_s[orders[:, 0]]
    if orders.shape[1] > 1:
        for i, rows in enumerate(orders):
            k = int(problem.orders.restaurant[rows[0]])
            local = np.searchsorted(problem.members[k], rows)
            ways_s[i, 1:] = problem.legs_s[k][local[:-1], local[1:]]
    return ways_s
