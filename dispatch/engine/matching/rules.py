"""Rules for which trips a rider may be given: room, stops, zone, reach, cooldowns, shift."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.matching.across import all_of, any_of, greatest, sum_of
from dispatch.engine.matching.cost import Routes, Trips
from dispatch.engine.matching.problem import ANY_ZONE, Ints, Problem

Mask = NDArray[np.bool_]


RULES = ("room", "stops", "reach", "zone", "cooldown")
"""Of `broken`, in this order; the shift depends on times, so `in_time` looks at it."""


def broken(problem: Problem, rider: Ints, routes: Routes) -> Iterator[tuple[str, Mask]]:
    """Each of RULES that can matter in this problem, and which of n riders would break it by making n trips."""
    orders, riders, rows = problem.orders, problem.riders, routes.orders
    stops = rows.shape[1] + (1 if routes.counter is None else 2)
    yield "room", sum_of(orders.size[rows]) > riders.room[rider]
    yield "stops", riders.stops[rider] < stops
    # Way times pace against reach, with the farthest door and the rider's reach in unpaced seconds.
    yield "reach", greatest(orders.direct_s[rows]) > (riders.reach_s / riders.pace)[rider]
    if (riders.zone != ANY_ZONE).any():
        yield "zone", any_of(~_in_zone(orders.zone[rows], riders.zone[rider][:, None]))
    if len(problem.barred):
        yield "cooldown", any_of(_barred(problem, rider[:, None], rows))


def allowed(problem: Problem, rider: Ints, routes: Routes) -> Mask:
    """Mask of n riders that may make n trips, their times aside; what a rider has accepted stays possible for it."""
    keep: Mask = np.ones(len(rider), np.bool_)
    for _, breaks in broken(problem, rider, routes):
        keep &= ~breaks
    return keep | held(problem, rider, routes.orders)


def held(problem: Problem, rider: Ints, rows: Ints) -> Mask:
    """Trips of nothing but what the rider has already accepted."""
    if not (problem.orders.holder >= 0).any():
        return np.zeros(len(rider), np.bool_)
    return all_of(problem.orders.holder[rows] == rider[:, None])


def in_time(problem: Problem, rider: Ints, trip: Trips, held_: Mask) -> Mask:
    """The last pickup lies within the shift, and there is a way at all."""
    within: Mask = (trip.pickup_s[:, -1] <= problem.riders.shift_end_s[rider]) | held_
    return within & np.isfinite(trip.end_s)


def _in_zone(order: Ints, rider: Ints) -> Mask:
    """A rider without a zone goes everywhere, and everybody may carry an order without one."""
    free: Mask = (order == ANY_ZONE) | (rider == ANY_ZONE) | (order == rider)
    return free


def _barred(problem: Problem, rider: Ints, order: Ints) -> Mask:
    """True where the pair (rider, order) is on cooldown."""
    width = len(problem.orders.ids)
    return np.isin(rider * width + order, problem.barred[:, 0] * width + problem.barred[:, 1])
