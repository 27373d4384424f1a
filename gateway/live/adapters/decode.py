"""Protobuf of the live channels, and of dispatch and orders, as values."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from gateway.live.model import City, LiveFix, OrderFacts, OrderId, Place, RiderFix, StatusEvent, Stop, Track
from gateway.order_status import order_status, status_word
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import dispatch_pb2, live_pb2
from proto.orders.v1 import orders_pb2
from proto.tracking.v1.rider_link_pb2 import STOP_KIND_PICKUP

__all__ = ["DecodeError", "live_positions", "order_facts", "track", "wake"]

#: What a customer is told of dispatch's states: while it looks for a rider the order is simply accepted.
_WORDS = {
    dispatch_pb2.ORDER_STATE_OPEN: "accepted",
    dispatch_pb2.ORDER_STATE_OFFERED: "accepted",
    dispatch_pb2.ORDER_STATE_ASSIGNED: "assigned",
    dispatch_pb2.ORDER_STATE_PICKED_UP: "picked_up",
    dispatch_pb2.ORDER_STATE_DELIVERED: "delivered",
    dispatch_pb2.ORDER_STATE_CANCELLED: "cancelled",
    dispatch_pb2.ORDER_STATE_FAILED: "failed",
}


def live_positions(data: bytes) -> tuple[City, int, list[LiveFix]]:
    """City, epoch and fixes of a message of `live:<city>`. Raises `DecodeError`."""
    message = live_pb2.LivePositions.FromString(data)
    fixes = [
        LiveFix(
            fix.order_id,
            fix.rider_id,
            fix.lat_e7,
            fix.lng_e7,
            fix.ts_ms,
            fix.session,
            fix.seq,
            fix.heading_cdeg,
            fix.eta_ms,
            fix.picked_up,
        )
        for fix in message.positions
    ]
    return City(message.city), message.epoch, fixes


def wake(data: bytes) -> tuple[City, int, list[str]]:
    """City, epoch and orders of a message of `wake:<city>`. Raises `DecodeError`."""
    message = live_pb2.Wake.FromString(data)
    return City(message.city), message.epoch, list(message.order_ids)


def order_facts(order: orders_pb2.Order) -> OrderFacts:
    """Facts of an order by the orders service."""
    basket = order.basket
    return OrderFacts(
        order_id=OrderId(order.order_id),
        user_id=order.user_id,
        city=City(basket.city),
        status=order_status(order),
        history=tuple(
            StatusEvent(0, word, change.at_ms)
            for change in order.history
            if (word := status_word(change.status)) is not None
        ),
        restaurant_name=basket.restaurant.name,
        restaurant=_place(basket.restaurant.at),
        dropoff=_place(basket.dropoff),
        promised_ms=order.promised_ms,
        eta_ms=order.eta_ms,
    )


def track(message: dispatch_pb2.TrackResponse) -> Track:
    """Track of an order by dispatch."""
    rider = RiderFix(_place(message.rider_at), message.rider_ts_ms) if message.rider_ts_ms else None
    return Track(
        status=_WORDS.get(message.state, "accepted"),
        events=tuple(StatusEvent(e.seq, _WORDS.get(e.state, "accepted"), e.at_ms) for e in message.events),
        epoch=message.epoch,
        rider=rider if message.rider_id else None,
        eta_ms=message.eta_ms,
        eta_p90_ms=message.eta_p90_ms,
        stops=tuple(
            Stop(
                "pickup" if stop.kind == STOP_KIND_PICKUP else "dropoff",
                tuple(stop.order_ids),
                _place(stop.at),
                stop.eta_ms,
            )
            for stop in message.stops
        ),
    )


def _place(at: LatLng) -> Place:
    return Place(at.lat_e7, at.lng_e7)
