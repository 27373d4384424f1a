"""Times and terms of the trips a solution chose, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.matching.cost import Routes, terms
from dispatch.matching.problem import Assigned, Floats, Ints, Problem
from dispatch.params import EngineParams


@dataclass(frozen=True, slots=True, eq=False)
class TimedTrip:
    """One trip in seconds from now: setting out, then at each counter the arrival and the food in hand, and at each
    door; and its cost terms before weights."""

    assigned: Assigned
    start_s: float
    arrive_s: tuple[float, ...]
    pickup_s: tuple[float, ...]
    drop_s: tuple[float, ...]
    terms: tuple[float, ...]


def due_trips(problem: Problem, params: EngineParams, assigned: Sequence[Assigned]) -> list[TimedTrip]:
    """The trips whose rider must set out within `OfferParams.lead_s`, and those of riders already on their way; in
    the order of `assigned`."""
    by_shape: dict[tuple[int, bool], list[int]] = {}
    for i, a in enumerate(assigned):
        by_shape.setdefault((len(a.orders), a.link >= 0), []).append(i)
    found: dict[int, TimedTrip] = {}
    for (_, linked), rows in by_shape.items():
        group = [assigned[i] for i in rows]
        for at, trip in _timed(problem, params, group, linked):
            found[rows[at]] = trip
    return [found[i] for i in sorted(found)]


def _timed(
    problem: Problem, params: EngineParams, group: list[Assigned], linked: bool
) -> Iterator[tuple[int, TimedTrip]]:
    """Due trips among those with equally many orders and counters, and where in the group each stands."""
    rider = np.array([a.rider for a in group])
    routes = _routes(problem, group, linked)
    restaurant = problem.orders.restaurant[routes.orders[:, 0]]
    start = problem.links.counters[[a.link for a in group], 0] if linked else restaurant
    columns, trip = terms(problem, params.service, params.cost, rider, _approach_s(problem, rider, start), routes)
    due = (trip.start_s <= params.offers.lead_s) | (problem.riders.heading[rider] >= 0)
    for i in np.flatnonzero(due).tolist():
        yield (
            i,
            TimedTrip(
                assigned=group[i],
                start_s=float(trip.start_s[i]),
                arrive_s=tuple(trip.arrive_s[i].tolist()),
                pickup_s=tuple(trip.pickup_s[i].tolist()),
                drop_s=tuple(trip.drop_s[i].tolist()),
                terms=tuple(float(column[i]) for column in columns),
            ),
        )


def _approach_s(problem: Problem, rider: Ints, restaurant: Ints) -> Floats:
    """Edges are sorted by restaurant, then rider, so each is found by bisection."""
    width = len(problem.riders.ids)
    edges = problem.edges
    at = np.searchsorted(edges.restaurant * width + edges.rider, restaurant * width + rider)
    approach_s: Floats = edges.approach_s[at]
    return approach_s


def _routes(problem: Problem, group: list[Assigned], linked: bool) -> Routes:
    orders = np.array([a.orders for a in group])
    restaurant = problem.orders.restaurant[orders]
    if linked:
        links = problem.links
        link = np.array([a.link for a in group])
        counter = (restaurant != links.counters[link, :1]).astype(np.int64)
        return Routes(orders, links.ways_s[link], counter, links.hop_s[link])
    ways_s = np.empty(orders.shape)
    ways_s[:, 0] = problem.orders.direct_s[orders[:, 0]]
    ways_s[:, 1:] = problem.groups.leg_s(restaurant[:, 1:], orders[:, :-1], orders[:, 1:])
    return Routes(orders, ways_s)
