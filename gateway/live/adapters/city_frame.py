"""`WatchCity` as JSON columns for the map page."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.live.frames import text_frame
from gateway.live.model import City, CityFrame
from proto.columns import WATCH_CITY, unpack
from proto.dispatch.v1 import dispatch_pb2

_STATES = {number: name.removeprefix("ORDER_STATE_").lower() for name, number in dispatch_pb2.OrderState.items()}


def encoded(message: dispatch_pb2.WatchCityResponse) -> CityFrame:
    """The frame; rider states stay numbers of `RiderActivity`. Rider ids are text: a browser's numbers end at 2^53."""
    riders = unpack(WATCH_CITY, message)
    value = {
        "type": "city",
        "city": message.city,
        "epoch": message.epoch,
        "shard_id": message.shard_id,
        "now_ms": message.now_ms,
        "tick": message.tick,
        "riders": {
            "id": [str(rider) for rider in riders["rider_id"].tolist()],
            "lat_e7": riders["rider_lat_e7"],
            "lng_e7": riders["rider_lng_e7"],
            "ts_ms": riders["rider_ts_ms"],
            "state": riders["rider_state"],
        },
        "orders": [_order(order) for order in message.orders],
        "counters": _counters(message.counters),
    }
    payload = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return CityFrame(City(message.city), message.epoch, message.tick, text_frame(payload))


def _order(order: dispatch_pb2.CityOrder) -> dict[str, Any]:
    return {
        "id": order.order_id,
        "state": _STATES.get(order.state, "unspecified"),
        "pickup": [order.pickup.lat_e7, order.pickup.lng_e7],
        "dropoff": [order.dropoff.lat_e7, order.dropoff.lng_e7],
        "rider": str(order.rider_id) if order.rider_id else None,
        "eta_ms": order.eta_ms or None,
        "promised_ms": order.promised_ms or None,
    }


def _counters(counters: dispatch_pb2.CityCounters) -> dict[str, float]:
    return {field.name: getattr(counters, field.name) for field in dispatch_pb2.CityCounters.DESCRIPTOR.fields}
