"""Find orders of one restaurant that could share a trip, and the sequence of their drops.

The drop order is the one with the least sum of times at the doors, found by trying all of them; a bundle of
four has 24. Restaurants with equally many orders to combine are worked out together.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations

import numpy as np

from dispatch.engine.matching.cost import Routes
from dispatch.engine.matching.problem import Ints, Problem
from dispatch.engine.params import BundleParams

POOL = 12
"""Orders of one restaurant that are combined at all in a tick: those ready first."""


def bundles_of(problem: Problem, params: BundleParams, dropoff_s: float, pool: int = POOL) -> list[Routes]:
    """All bundles of two and more orders, of each restaurant's first `pool`; a list entry a size."""
    pools = _pools(problem, pool)
    found: list[Routes] = []
    for size in range(2, params.max_orders + 1):
        parts = [_picks(problem, rows, size, params.ready_spread_s) for rows in pools if rows.shape[1] >= size]
        picks = np.concatenate(parts) if parts else np.zeros((0, size), np.int64)
        if len(picks):
            found.append(_sequenced(problem, picks, dropoff_s))
    return found


def _pools(problem: Problem, pool: int) -> list[Ints]:
    """Order rows (r, p) of the r restaurants with p orders to combine, for every p > 1, by when they are ready."""
    groups, ready_s = problem.groups, problem.orders.ready_s
    by_ready = np.lexsort((np.arange(len(ready_s)), ready_s, problem.orders.restaurant))
    combined = np.minimum(groups.count, pool)
    return [
        by_ready[groups.first[:-1][combined == p][:, None] + np.arange(p)]
        for p in range(2, int(combined.max(initial=1)) + 1)
        if (combined == p).any()
    ]


def _picks(problem: Problem, pool: Ints, size: int, ready_spread_s: float) -> Ints:
    """Every `size` orders of each restaurant's pool that are ready at about the same time.

    What is ready already may wait no longer than what is not yet: the spread counts from now.
    """
    picks = pool[:, _combinations(pool.shape[1], size)].reshape(-1, size)
    due_s = np.maximum(problem.orders.ready_s[picks], 0.0)  # Rising within a pick, as in the pool.
    return picks[due_s[:, -1] - due_s[:, 0] <= ready_spread_s]


@cache
def _combinations(n: int, size: int) -> Ints:
    return np.array(list(combinations(range(n), size)), np.int64)


@cache
def _permutations(size: int) -> Ints:
    return np.array(list(permutations(range(size))), np.int64)


def _sequenced(problem: Problem, picks: Ints, dropoff_s: float) -> Routes:
    """The best drop order of each pick (n, m)."""
    restaurant = problem.orders.restaurant[picks[:, :1]]
    # (n, m, m): the ways between the doors of a pick; then one column a permutation.
    legs_s = problem.groups.leg_s(restaurant[:, :, None], picks[:, :, None], picks[:, None, :])
    direct_s = problem.orders.direct_s[picks]
    tried = _permutations(picks.shape[1])
    ways_s = np.empty((len(picks), len(tried), picks.shape[1]))
    ways_s[..., 0] = direct_s[:, tried[:, 0]]
    for hop in range(1, picks.shape[1]):
        ways_s[..., hop] = legs_s[:, tried[:, hop - 1], tried[:, hop]]
    at_door_s = np.cumsum(ways_s + dropoff_s, axis=-1).sum(axis=-1)
    best = at_door_s.argmin(axis=1)
    rows = np.arange(len(picks))
    return Routes(np.take_along_axis(picks, tried[best], axis=1), ways_s[rows, best])
