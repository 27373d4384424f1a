"""Between the wire's messages about loans of riders and their values."""

from __future__ import annotations

import numpy as np

from dispatch.borders.wishes import View
from dispatch.engine.inputs import Positions
from dispatch.shard.adapters.rows import order_of, plain_json, rider_of
from proto.dispatch.v1 import borders_pb2


def view_message(view: View, epoch: int) -> borders_pb2.ViewCityResponse:
    """A city as its neighbours see it, for the wire."""
    seen = view.positions
    return borders_pb2.ViewCityResponse(
        epoch=epoch,
        orders_json=[plain_json(order) for order in view.orders],
        riders_json=[plain_json(rider) for rider in view.riders],
        rider_id=seen.rider_ids.astype("<u8").tobytes(),
        lat_e7=seen.lat_e7.astype("<i4").tobytes(),
        lng_e7=seen.lng_e7.astype("<i4").tobytes(),
        age_ms=seen.age_ms.astype("<i8").tobytes(),
    )


def view_value(message: borders_pb2.ViewCityResponse) -> View:
    """The same of the wire. Raises `InvalidEntity`."""
    return View(
        tuple(order_of(text) for text in message.orders_json),
        tuple(rider_of(text) for text in message.riders_json),
        Positions(
            np.frombuffer(message.rider_id, "<u8"),
            np.frombuffer(message.lat_e7, "<i4"),
            np.frombuffer(message.lng_e7, "<i4"),
            np.frombuffer(message.age_ms, "<i8"),
        ),
    )
