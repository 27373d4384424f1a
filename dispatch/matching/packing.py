"""Trips, bundles among them, so that every order is in one and every rider makes one: set packing.

min   sum of the costs of chosen trips + sum of the costs of orders put off
s.t.  every order is in exactly one chosen trip, or put off to a later wave
      every rider makes at most one trip; a rider on its way exactly one
      a wave takes no more orders than there are riders on shift by then

Orders put off are what a planner with one trip a rider must not forget: in wave k a rider makes its k-th trip,
about k cycles from now. Its price is the delay an order would have then; orders no wave has room for cost
`UNSERVED_S` each, so that at the end of shifts bundles grow until all is carried. And while orders are put off,
every second a rider is busy delays them: that is `busy_price`, orders put off per rider.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csc_array

from dispatch.matching.columns import Columns, columns_of
from dispatch.matching.cost import best_drop_s
from dispatch.matching.problem import Assigned, Floats, Ints, Problem, Solution
from dispatch.params import EngineParams

UNSERVED_S = 100_000.0
WAVES = 3


def pack(problem: Problem, params: EngineParams) -> Solution:
    """The optimum, or the best found within the work limit."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    if n == 0 or m == 0:
        return Solution((), "empty", 0, 0.0, "packing")
    price = params.cost.pressure * max(0.0, (n - m) / m)
    columns = columns_of(problem, params, price)
    put_off, room = waves(problem, params)
    return _solve(problem, columns, put_off, room)


def waves(problem: Problem, params: EngineParams) -> tuple[Floats, Ints]:
    """Cost (WAVES + 1, n) of serving each order in a later wave, and the room of each (WAVES + 1,).

    The last row is: in none.
    """
    orders, riders = problem.orders, problem.riders
    floor_s = best_drop_s(problem, params.service)
    cycle_s = params.cost.cycle_s
    cost = np.empty((WAVES + 1, len(orders.ids)))
    room = np.empty(WAVES + 1, np.int64)
    for k in range(WAVES):
        starts_s = np.maximum(riders.free_s, 0.0) + cycle_s * (k + 1)
        on_shift = starts_s <= riders.shift_end_s
        room[k] = on_shift.sum()
        pickup_s = np.median(starts_s[on_shift]) if room[k] else 0.0
        delay_s = np.maximum(pickup_s - orders.ready_s, 0.0)
        drop_s = floor_s + delay_s
        late_s = np.maximum(drop_s - orders.promised_s, 0.0)
        cost[k] = delay_s + params.cost.late * late_s + params.cost.waiting * delay_s
    cost[WAVES] = UNSERVED_S
    room[WAVES] = len(orders.ids)
    return cost, room


def _solve(problem: Problem, columns: Columns, put_off: Floats, room: Ints) -> Solution:
    n, m, trips = len(problem.orders.ids), len(problem.riders.ids), len(columns.rider)
    at, which = np.nonzero(columns.orders >= 0)
    waves, _ = put_off.shape
    later = np.arange(waves * n)
    rows = np.concatenate([columns.orders[at, which], n + columns.rider, later % n, n + m + later // n])
    cols = np.concatenate([at, np.arange(trips), trips + later, trips + later])
    matrix = csc_array((np.ones(len(rows)), (rows, cols)), shape=(n + m + waves, trips + waves * n))
    cost = np.concatenate([columns.cost, put_off.reshape(-1)])
    bound = np.zeros(m)
    bound[problem.orders.holder[problem.orders.holder >= 0]] = 1
    low = np.concatenate([np.ones(n), bound, np.zeros(waves)])
    high = np.concatenate([np.ones(n + m), room])
    result = milp(
        cost,
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, low, high),
    )
    chosen = np.flatnonzero(result.x[:trips] > 0.5)
    assigned = sorted((int(columns.rider[c]), tuple(int(o) for o in columns.orders[c] if o >= 0)) for c in chosen)
    return Solution(tuple(Assigned(r, o) for r, o in assigned), str(result.status), trips, float(result.fun), "packing")
