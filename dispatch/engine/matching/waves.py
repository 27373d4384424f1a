"""Orders put off: what it costs to leave an order to a rider's second, third or fourth trip.

In wave k every rider who is on shift then starts another trip, k cycles from now, and takes a few orders. The price
of an order there is its delay if it were picked up then, and a constant for what can still go wrong. Orders that no
wave has room for cost `UNSERVED_S` each, so that at the end of shifts bundles grow until all is carried. Putting off
what a rider has accepted costs the price of churn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.engine.matching.cost import best_drop_s
from dispatch.engine.matching.problem import Floats, Ints, Problem
from dispatch.engine.params import EngineParams

WAVES = 3
UNSERVED_S = 100_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """`cost` (WAVES + 1, n) of each order in each wave, `room` (WAVES + 1,) in orders; the last is: in none."""

    cost: Floats
    room: Ints


def waves(problem: Problem, params: EngineParams) -> Waves:
    """Prices and room of the waves, from when riders are free and when their shifts end."""
    orders, riders = problem.orders, problem.riders
    floor_s = best_drop_s(problem, params.service)
    cost = np.full((WAVES + 1, len(orders.ids)), UNSERVED_S)
    room = np.full(WAVES + 1, len(orders.ids))
    for k in range(WAVES):
        starts_s = np.maximum(riders.free_s, 0.0) + params.cost.cycle_s * (k + 1)
        on_shift = starts_s <= riders.shift_end_s
        room[k] = int(params.cost.orders_per_wave * on_shift.sum())
        if not room[k]:
            continue
        delay_s = np.maximum(np.median(starts_s[on_shift]) - orders.ready_s, 0.0)
        late_s = np.maximum(floor_s + delay_s - orders.promised_s, 0.0)
        cost[k] = (1.0 + params.cost.waiting) * delay_s + params.cost.late * late_s + params.cost.put_off_s
    cost += np.where(orders.holder >= 0, params.cost.churn_s, 0.0)
    return Waves(cost, room)
