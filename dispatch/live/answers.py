"""Answers about a city to calls: committed state and positions, read only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

from dispatch.eta.plan import Z90
from dispatch.index import FixColumns, NearestRiders
from dispatch.index.rows import Ids
from dispatch.live.city import City
from dispatch.live.tracks import Eta
from dispatch.model import OrderId, OrderStatus, Point, Rider, RiderId, Stop, StopKind
from dispatch.params import EngineParams
from dispatch.ports import Points, TravelTimes

#: Riders asked when an order that was not placed yet is estimated.
_ESTIMATE_RIDERS = 8
#: With no rider in sight, domain seconds until one is.
_NOBODY_S = 600.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """An order that was not placed yet."""

    eta: Eta
    travel_s: float
    travel_version: str


def near(city: City, at: Point, k: int, now_ms: int) -> tuple[FixColumns, NearestRiders]:
    """The k nearest riders on shift, with a fresh fix; the columns that the answer points into."""
    snapshot = city.positions.snapshot(now_ms, city.stale_after_ms)
    online = snapshot.only(np.isin(snapshot.rider_ids, online_ids(city)))
    return online.columns, online.nearest(np.array([at.lat_e7]), np.array([at.lng_e7]), k)


def online_ids(city: City) -> Ids:
    """Riders on shift."""
    return np.array([r.rider_id for r in city.state.riders.values() if r.online], np.uint64)


def origins_near(city: City, pickup: Point, now_ms: int) -> Points:
    """Places of a few riders near a restaurant."""
    columns, found = near(city, pickup, _ESTIMATE_RIDERS, now_ms)
    rows = found.index[0][found.index[0] >= 0]
    places: Points = np.stack([columns.lat_e7[rows], columns.lng_e7[rows]], axis=1).astype(np.int64)
    return places


def estimate(
    origins: Points, pickup: Point, drop: Point, ready_ms: int, now_ms: int, travel: TravelTimes, params: EngineParams
) -> Estimate:
    """When an order would be at its door, taken by the nearest of the riders at `origins`. Asks the travel model."""
    counter = np.array([[pickup.lat_e7, pickup.lng_e7]], np.int64)
    door = np.array([[drop.lat_e7, drop.lng_e7]], np.int64)
    approach_s = float(travel.matrix(origins, counter, now_ms).min()) if len(origins) else _NOBODY_S
    travel_s = float(travel.matrix(counter, door, now_ms)[0, 0])
    service = params.service
    at_counter_ms = now_ms + round((approach_s + service.pickup_s / 2) * 1000)
    done_s = service.pickup_s / 2 + travel_s + service.dropoff_s / 2
    eta_ms = max(ready_ms, at_counter_ms) + round(done_s * 1000)
    sure = params.eta
    kitchen_s = sure.kitchen_s if ready_ms > now_ms else 0.0
    spread_s = hypot(sure.travel_cv * (approach_s + travel_s), 2**0.5 * sure.door_s, kitchen_s)
    return Estimate(Eta(eta_ms, eta_ms + round(Z90 * spread_s * 1000)), travel_s, travel.version)


def stops_of(rider: Rider, order_id: OrderId) -> Sequence[Stop]:
    """The stops of a rider's plan that are about one order; other customers' places are theirs."""
    return [stop for stop in rider.stops if order_id in stop.order_ids]


def ready_ms(city: City, stop: Stop) -> int:
    """When all the food of a pickup should be ready; 0 for a drop."""
    if stop.kind is not StopKind.PICKUP:
        return 0
    orders = (city.state.orders.get(order_id) for order_id in stop.order_ids)
    return max((order.ready_ms for order in orders if order is not None), default=0)


def last_fix(city: City, rider_id: RiderId) -> FixColumns | None:
    """The last fix of a rider, or None."""
    columns, _, seen = city.positions.positions_of(np.array([rider_id], np.uint64), 0)
    return columns if seen[0] else None


def rider_state(rider: Rider | None) -> int:
    """As in `dispatch.v1.WatchCityResponse.rider_state`."""
    if rider is None or not (rider.online or rider.stops):
        return 0
    if rider.stops:
        return 4 if rider.carrying else 3
    return 2 if rider.offer_id is not None else 1


HELD = frozenset({OrderStatus.ASSIGNED, OrderStatus.PICKED_UP})
