"""Read-only queries about a city, from committed state and positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from dispatch.engine.eta.estimate import STARTERS
from dispatch.engine.eta.open_order import OpenOrder, ahead_of, starter_of
from dispatch.engine.model import OrderId, OrderStatus, Point, Rider, RiderId, Stop, StopKind
from dispatch.engine.params import EngineParams
from dispatch.positions import NearestRiders
from dispatch.positions.rows import Ids
from dispatch.shard.live_city import LiveCity
from dispatch.shard.route_version import RouteVersion
from proto.fix_columns import FixColumns


class Activity(StrEnum):
    """Activity of a rider as map and views show it; `dispatch.v1.RiderActivity` on the wire."""

    OFFLINE = "offline"
    IDLE = "idle"
    OFFERED = "offered"
    TO_PICKUP = "to_pickup"
    TO_DROPOFF = "to_dropoff"


@dataclass(frozen=True, slots=True)
class AskedOrder:
    """An order that may be placed."""

    pickup: Point
    drop: Point
    ready_ms: int


def near(city: LiveCity, at: Point, k: int, now_ms: int) -> tuple[FixColumns, NearestRiders]:
    """The k nearest riders on shift, with a fresh fix; the columns that the answer points into."""
    snapshot = city.ingested.positions.snapshot(now_ms, city.stale_after_ms)
    online = snapshot.only(np.isin(snapshot.rider_ids, online_ids(city)))
    return online.columns, online.nearest(np.array([at.lat_e7]), np.array([at.lng_e7]), k)


def online_ids(city: LiveCity) -> Ids:
    """Riders on shift."""
    return np.array([r.rider_id for r in city.state.riders.values() if r.online], np.uint64)


def waiting_for(city: LiveCity, order: AskedOrder, now_ms: int, params: EngineParams) -> OpenOrder:
    """An order that nobody has yet, with the riders on shift near its counter."""
    columns, found = near(city, order.pickup, STARTERS, now_ms)
    rows = found.index[0][found.index[0] >= 0].tolist()
    riders = [city.state.riders[RiderId(int(columns.rider_id[row]))] for row in rows]
    known = city.committed.memory.learning.known(riders)
    starters = tuple(
        starter_of(
            rider, Point(int(columns.lat_e7[row]), int(columns.lng_e7[row])), now_ms, known.pace_of(rider, params)
        )
        for rider, row in zip(riders, rows, strict=True)
    )
    waiting = sum(other.matchable for other in city.state.orders.values())
    ahead = ahead_of(waiting, len(columns), len(starters))
    return OpenOrder(order.pickup, order.drop, order.ready_ms, starters, ahead)


def stops_of(rider: Rider, order_id: OrderId) -> Sequence[Stop]:
    """The stops of a rider's plan that are about one order; other customers' places are theirs."""
    return [stop for stop in rider.stops if order_id in stop.order_ids]


def route_version(city: LiveCity, rider_id: RiderId) -> RouteVersion:
    """The version of a rider's route."""
    return RouteVersion(city.committed.route_ticks.get(rider_id, city.committed.taken_after_tick))


def ready_ms(city: LiveCity, stop: Stop) -> int:
    """Time at which all the food of a pickup should be ready, domain milliseconds; 0 for a drop."""
    if stop.kind is not StopKind.PICKUP:
        return 0
    orders = (city.state.orders.get(order_id) for order_id in stop.order_ids)
    return max((order.ready_ms for order in orders if order is not None), default=0)


def last_fix(city: LiveCity, rider_id: RiderId) -> FixColumns | None:
    """The last fix of a rider, or None."""
    columns, _, seen = city.ingested.positions.positions_of(np.array([rider_id], np.uint64), 0)
    return columns if seen[0] else None


def activity(rider: Rider | None) -> Activity:
    """Activity of a rider; one that the city does not know is offline."""
    if rider is None or not (rider.online or rider.stops):
        return Activity.OFFLINE
    if rider.stops:
        return Activity.TO_DROPOFF if rider.carrying else Activity.TO_PICKUP
    return Activity.OFFERED if rider.offer_id is not None else Activity.IDLE


HELD = frozenset({OrderStatus.ASSIGNED, OrderStatus.PICKED_UP})
