"""What it costs to give orders to a rider, term by term.

A trip: the rider is free, rides to the restaurant, waits for the food, hands over half of the pickup
service before and half after, then the same at every door:

    pickup = max(now, ready of all, free + approach + half pickup)
    drop_1 = pickup + half pickup + way + half drop-off,   drop_2 = drop_1 + half + way + half, ...

Terms, in seconds before their weights:

    delay        later at the door than the order could be at best (ready, straight there), summed
    late         later at the door than promised, summed
    waiting      food at the counter after it is ready, summed
    approach     way to the restaurant
    busy         from setting out to the end of the last drop
    idle         rider standing at the restaurant, if it set out as soon as it is free
    age          age of the rider's last fix
    churn        orders taken away from the rider who has accepted them, each `churn_s`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.matching.problem import Floats, Ints, Problem
from dispatch.params import CostParams, ServiceParams

TERMS = ("delay", "late", "waiting", "approach", "busy", "idle", "age", "churn")


def weights(cost: CostParams) -> Floats:
    """The weight of each of TERMS."""
    return np.array([1.0, cost.late, cost.waiting, cost.approach, cost.busy, cost.idle, cost.age, cost.churn_s])


@dataclass(frozen=True, slots=True, eq=False)
class Trips:
    """Times of n trips of up to m orders: pickup_s (n,), drop_s (n, m), end_s (n,), start_s (n,)."""

    start_s: Floats
    pickup_s: Floats
    drop_s: Floats
    end_s: Floats


def trips(
    problem: Problem,
    service: ServiceParams,
    rider: Ints,
    approach_s: Floats,
    ready_s: Floats,
    ways_s: Floats,
) -> Trips:
    """Times of trips: `ready_s` (n,) of the last order, `ways_s` (n, m) from stop to stop, unpaced."""
    pace = problem.riders.pace[rider]
    half_pickup, half_drop = service.pickup_s / 2, service.dropoff_s / 2
    way_s = approach_s * pace
    pickup_s = np.maximum(np.maximum(ready_s, 0.0), problem.riders.free_s[rider] + way_s + half_pickup)
    hops = ways_s * pace[:, None] + 2 * half_drop
    drop_s = pickup_s[:, None] + half_pickup + np.cumsum(hops, axis=1) - half_drop
    return Trips(
        start_s=pickup_s - half_pickup - way_s,
        pickup_s=pickup_s,
        drop_s=drop_s,
        end_s=drop_s[:, -1] + half_drop,
    )


def best_drop_s(problem: Problem, service: ServiceParams) -> Floats:
    """The earliest an order can be at the door, were a rider waiting: the floor of its delay."""
    orders = problem.orders
    return orders.ready_s + service.pickup_s / 2 + orders.direct_s + service.dropoff_s / 2


def terms(
    problem: Problem,
    service: ServiceParams,
    rider: Ints,
    approach_s: Floats,
    orders: Ints,
    ways_s: Floats,
) -> tuple[Floats, Trips]:
    """Terms of n trips, shape (n, len(TERMS)), and their times.

    `orders` (n, m) are rows in the order of their drops; all trips have the same number of orders.
    """
    o = problem.orders
    trip = trips(problem, service, rider, approach_s, o.ready_s[orders].max(axis=1), ways_s)
    floor_s = best_drop_s(problem, service)[orders]
    holder = o.holder[orders]
    moved = (holder >= 0) & (holder != rider[:, None])
    columns = (
        (trip.drop_s - floor_s).sum(axis=1),
        np.maximum(trip.drop_s - o.promised_s[orders], 0.0).sum(axis=1),
        (trip.pickup_s[:, None] - o.ready_s[orders]).sum(axis=1),
        approach_s * problem.riders.pace[rider],
        trip.end_s - trip.start_s,
        trip.start_s - problem.riders.free_s[rider],
        problem.riders.age_s[rider],
        moved.sum(axis=1).astype(np.float64),
    )
    return np.stack(columns, axis=1), trip
