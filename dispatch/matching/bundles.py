"""Which orders of one restaurant could share a trip, and in which order they would be dropped.

The drop order is the one with the least sum of times at the doors, found by trying all of them; a bundle of
four has 24.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations

import numpy as np

from dispatch.matching.problem import Floats, Ints, Problem
from dispatch.params import BundleParams

POOL = 12
"""Orders of one restaurant that are combined at all: those ready first."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundles:
    """Bundles of one size m, n of them: `orders` (n, m) rows in drop order, `ways_s` (n, m) from the counter to
    the first drop and from drop to drop."""

    orders: Ints
    ways_s: Floats


def bundles_of(problem: Problem, params: BundleParams, dropoff_s: float) -> list[Bundles]:
    """All bundles of two and more orders, a list entry a size."""
    by_size: list[list[Bundles]] = [[] for _ in range(params.max_orders + 1)]
    for k, members in enumerate(problem.members):
        if len(members) < 2:
            continue
        ready_s = problem.orders.ready_s[members]
        pool = np.argsort(ready_s, kind="stable")[:POOL]
        for size in range(2, min(params.max_orders, len(pool)) + 1):
            picks = pool[_combinations(len(pool), size)]
            # What is ready already may wait no longer than what is not yet: the spread counts from now.
            due_s = np.maximum(ready_s[picks], 0.0)
            picks = picks[due_s.max(axis=1) - due_s.min(axis=1) <= params.ready_spread_s]
            if len(picks):
                by_size[size].append(_sequenced(problem, k, picks, dropoff_s))
    return [
        Bundles(np.concatenate([b.orders for b in found]), np.concatenate([b.ways_s for b in found]))
        for found in by_size
        if found
    ]


@cache
def _combinations(n: int, size: int) -> Ints:
    return np.array(list(combinations(range(n), size)), np.int64)


@cache
def _permutations(size: int) -> Ints:
    return np.array(list(permutations(range(size))), np.int64)


def _sequenced(problem: Problem, k: int, picks: Ints, dropoff_s: float) -> Bundles:
    """The best drop order of each pick (n, m): local rows of restaurant k's members."""
    members, legs_s = problem.members[k], problem.legs_s[k]
    direct_s = problem.orders.direct_s[members]
    tried = picks[:, _permutations(picks.shape[1])]  # (n, permutations, m)
    ways_s = np.concatenate([direct_s[tried[..., :1]], legs_s[tried[..., :-1], tried[..., 1:]]], axis=-1)
    at_door_s = np.cumsum(ways_s + dropoff_s, axis=-1).sum(axis=-1)
    best = at_door_s.argmin(axis=1)
    rows = np.arange(len(picks))
    return Bundles(members[tried[rows, best]], ways_s[rows, best])
