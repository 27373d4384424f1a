"""Translate between the wire's messages about loans of riders and their values."""

from __future__ import annotations

from dispatch.borders.borrow_choice import SharedView
from dispatch.engine.inputs import Positions
from dispatch.shard.adapters.rows import order_of, plain_json, rider_of
from proto.columns import VIEW_CITY, pack, unpack
from proto.dispatch.v1 import borders_pb2


def view_message(view: SharedView, epoch: int) -> borders_pb2.ViewCityResponse:
    """A city as its neighbours see it, for the wire."""
    seen = view.positions
    columns = {"rider_id": seen.rider_ids, "lat_e7": seen.lat_e7, "lng_e7": seen.lng_e7, "age_ms": seen.age_ms}
    return borders_pb2.ViewCityResponse(
        epoch=epoch,
        orders_json=[plain_json(order) for order in view.orders],
        riders_json=[plain_json(rider) for rider in view.riders],
        **pack(VIEW_CITY, columns),
    )


def view_value(message: borders_pb2.ViewCityResponse) -> SharedView:
    """A city's view from the wire. Raises `ValueError` when it cannot be read, `InvalidEntity` among them."""
    seen = unpack(VIEW_CITY, message)
    return SharedView(
        tuple(order_of(text) for text in message.orders_json),
        tuple(rider_of(text) for text in message.riders_json),
        Positions(seen["rider_id"], seen["lat_e7"], seen["lng_e7"], seen["age_ms"]),
    )
