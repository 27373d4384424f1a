"""When a rider will be at each of its stops: the sum along the plan, and how sure that is.

The median follows the plan stop by stop: way, half a service, for a pickup no sooner than the kitchen, handover,
half a service. The 90th percentile adds the spread of what has been summed up. Ways, kitchens and doors are taken
as independent, so their variances add:

    p90 = median + 1.2816 * sqrt(sum of (travel_cv * way)^2 + kitchen_s^2 if it is still cooking + door_s^2 a stop)

1.2816 is the 90% quantile of the normal distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

import numpy as np

from dispatch.model import Order, OrderId, Point, Rider, Stop, StopKind
from dispatch.params import EngineParams, EtaParams
from dispatch.ports import Points, TravelTimes

Z90 = 1.2816


@dataclass(frozen=True, slots=True)
class StopEta:
    """Food handed over at the stop: half the chances before `median_ms`, nine tenths before `p90_ms`."""

    kind: StopKind
    order_ids: tuple[OrderId, ...]
    median_ms: int
    p90_ms: int


def plan_etas(
    rider: Rider,
    position: Point | None,
    orders: Mapping[OrderId, Order],
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
) -> tuple[StopEta, ...]:
    """ETAs of the rider's stops, in order. Without a position the plan's own expectation is the first arrival.

    Orders missing in `orders` count as ready.
    """
    if not rider.stops:
        return ()
    way_s = _ways_s(rider, position, now_ms, travel, params)
    etas: list[StopEta] = []
    at_s, spread_s = 0.0, 0.0
    for stop, hop_s in zip(rider.stops, way_s, strict=True):
        half_s = (params.service.pickup_s if stop.kind is StopKind.PICKUP else params.service.dropoff_s) / 2
        done_s = at_s + hop_s + half_s
        spread_s = hypot(spread_s, params.eta.travel_cv * hop_s, params.eta.door_s)
        ready_s = _ready_s(stop, orders, now_ms)
        if ready_s > 0:
            spread_s = hypot(spread_s, params.eta.kitchen_s)
        done_s = max(done_s, ready_s)
        median_ms = now_ms + round(done_s * 1000)
        etas.append(StopEta(stop.kind, stop.order_ids, median_ms, median_ms + round(Z90 * spread_s * 1000)))
        at_s = done_s + half_s
    return tuple(etas)


def open_eta(order: Order, now_ms: int, travel: TravelTimes, params: EngineParams) -> StopEta:
    """ETA at the door of an order no rider has yet: ready, or a rider's usual way to the counter from now."""
    places = _points([order.pickup, order.drop])
    way_s = float(travel.matrix(places[:1], places[1:], now_ms)[0, 0])
    cooking_s = (order.ready_ms - now_ms) / 1000
    pickup_s = max(cooking_s, params.eta.approach_s + params.service.pickup_s / 2)
    door_s = pickup_s + params.service.pickup_s / 2 + way_s + params.service.dropoff_s / 2
    spread_s = hypot(_open_spread_s(params.eta, cooking_s), params.eta.travel_cv * way_s)
    median_ms = now_ms + round(door_s * 1000)
    return StopEta(StopKind.DROP, (order.order_id,), median_ms, median_ms + round(Z90 * spread_s * 1000))


def _open_spread_s(eta: EtaParams, cooking_s: float) -> float:
    return hypot(eta.approach_s / 2, 2**0.5 * eta.door_s, eta.kitchen_s if cooking_s > 0 else 0.0)


def _ways_s(
    rider: Rider, position: Point | None, now_ms: int, travel: TravelTimes, params: EngineParams
) -> list[float]:
    """Seconds from place to place along the plan; the first is what is left of the way."""
    pace = params.pace.of(rider.vehicle)
    places = _points([s.point for s in rider.stops])
    if rider.arrived:
        first_s = 0.0
    elif position is None:
        first_s = max(0.0, (rider.stops[0].arrive_ms - now_ms) / 1000)
    else:
        first_s = float(travel.matrix(_points([position]), places[:1], now_ms)[0, 0]) * pace
    hops = [
        float(travel.matrix(places[i : i + 1], places[i + 1 : i + 2], now_ms)[0, 0]) * pace
        for i in range(len(places) - 1)
    ]
    return [first_s, *hops]


def _ready_s(stop: Stop, orders: Mapping[OrderId, Order], now_ms: int) -> float:
    """When the food of a pickup is ready, from now; 0 if it is, or if nothing is picked up."""
    if stop.kind is not StopKind.PICKUP:
        return 0.0
    found = [orders[o].ready_ms for o in stop.order_ids if o in orders]
    return max(0.0, (max(found, default=now_ms) - now_ms) / 1000)


def _points(places: list[Point]) -> Points:
    return np.array([(p.lat_e7, p.lng_e7) for p in places], np.int64)
