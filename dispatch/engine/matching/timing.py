"""The trips a solution chose, as routes: their times and terms, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.engine.matching.cost import Routes, terms
from dispatch.engine.matching.problem import Assigned, Floats, Ints, Problem
from dispatch.engine.params import EngineParams


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
    found: dict[int, TimedTrip] = {}
    for rows in by_shape(assigned):
        group = [assigned[i] for i in rows]
        for at, trip in _timed(problem, params, group):
            found[rows[at]] = trip
    return [found[i] for i in sorted(found)]


def by_shape(assigned: Sequence[Assigned]) -> list[list[int]]:
    """Rows of the trips with equally many orders and counters: each group makes arrays."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for i, a in enumerate(assigned):
        groups.setdefault((len(a.orders), a.link >= 0), []).append(i)
    return list(groups.values())


def _timed(problem: Problem, params: EngineParams, group: list[Assigned]) -> Iterator[tuple[int, TimedTrip]]:
    """Due trips among those of one shape, and where in the group each stands."""
    rider, orders, link = as_arrays(group)
    start, routes = routes_of(problem, orders, link)
    columns, trip = terms(problem, params.service, params.cost, rider, approach_s(problem, rider, start), routes)
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


def approach_s(problem: Problem, rider: Ints, restaurant: Ints) -> Floats:
    """The way of each rider to each restaurant (n,); not a number for who is no candidate of it.

    Edges are sorted by restaurant, then rider, so each is found by bisection.
    """
    width, edges = len(problem.riders.ids), problem.edges
    if len(edges.rider) == 0:
        return np.full(len(rider), np.nan)
    known, asked = edges.restaurant * width + edges.rider, restaurant * width + rider
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[at] == asked, edges.approach_s[at], np.nan)


def as_arrays(group: Sequence[Assigned]) -> tuple[Ints, Ints, Ints]:
    """Rider (n,), orders (n, m) and link (n,) of trips of one shape."""
    return np.array([a.rider for a in group]), np.array([a.orders for a in group]), np.array([a.link for a in group])


def routes_of(problem: Problem, orders: Ints, link: Ints) -> tuple[Ints, Routes]:
    """The restaurant where each trip of one shape starts (n,), and its route."""
    restaurant = problem.orders.restaurant[orders]
    if link[0] >= 0:
        links = problem.links
        start = links.counters[link, 0]
        counter = (restaurant != start[:, None]).astype(np.int64)
        return start, Routes(orders, links.ways_s[link], counter, links.hop_s[link])
    ways_s = np.empty(orders.shape)
    ways_s[:, 0] = problem.orders.direct_s[orders[:, 0]]
    ways_s[:, 1:] = problem.groups.leg_s(restaurant[:, 1:], orders[:, :-1], orders[:, 1:])
    return restaurant[:, 0], Routes(orders, ways_s)
