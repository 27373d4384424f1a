"""`WatchCity` as JSON columns for the map page."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from gateway.live.frames import text_frame
from gateway.live.model import City, CityFrame
from proto.dispatch.v1 import dispatch_pb2

_STATES = {number: name.removeprefix("ORDER_STATE_").lower() for name, number in dispatch_pb2.OrderState.items()}


def encoded(message: dispatch_pb2.WatchCityResponse) -> CityFrame:
    """The frame. Rider ids are strings: a browser's numbers end at 2^53."""
    value = {
        "type": "city",
        "city": message.city,
        "epoch": message.epoch,
        "shard_id": message.shard_id,
        "now_ms": message.now_ms,
        "tick": message.tick,
        "riders": {
            "id": [str(rider) for rider in np.frombuffer(message.rider_id, "<u8").tolist()],
            "lat_e7": np.frombuffer(message.rider_lat_e7, "<i4"),
            "lng_e7": np.frombuffer(message.rider_lng_e7, "<i4"),
            "ts_ms": np.frombuffer(message.rider_ts_ms, "<i8"),
            "state": np.frombuffer(message.rider_state, "u1"),
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
