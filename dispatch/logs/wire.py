"""Translate the wire's messages to the city's values. Generated types are known here and in `grpc_api` only."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderCancelled,
    OrderOpened,
    OrderReadyChanged,
    PickedUp,
    RiderArrived,
    RiderMovedIn,
    RiderMovedOut,
    RiderOffline,
    RiderOnline,
)
from dispatch.engine.log_inputs import LogEvent
from dispatch.engine.model import OfferId, OrderId, Point, RestaurantId, RiderId
from dispatch.logs.loan_events import LOAN_EVENTS, decode_loan_event
from dispatch.logs.value_checks import wrong_value
from dispatch.logs.vehicles import vehicle_of
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.fix_columns import FixColumns
from proto.tracking.v1 import rider_link_pb2

#: End of a shift that was not told: 9999-12-31, domain milliseconds.
NO_END_MS = 253_402_214_400_000


class BadEvent(ValueError):
    """A message of city.events that cannot be an event, and why."""


def blank_event(offset: int) -> LogEvent:
    """Stand in for a message that was set aside: no input, and no id that another message may have."""
    return LogEvent(f"set-aside@{offset}", offset, None)


def decode_event_leniently(value: bytes, city: str, offset: int, default_capacity: int) -> LogEvent:
    """Decode a message of city.events; what cannot be understood is blank."""
    try:
        return decode_event(value, city, offset, default_capacity)
    except BadEvent:
        return blank_event(offset)


def decode_event(value: bytes, city: str, offset: int, default_capacity: int) -> LogEvent:
    """Decode a message of city.events; one of another city has no input. Raises `BadEvent`."""
    message = city_event_pb2.CityEvent()
    try:
        message.ParseFromString(value)
    except DecodeError as error:
        raise BadEvent(f"not a message of city.events: {error}") from error
    if message.city != city:
        return LogEvent(message.event_id or f"nameless@{offset}", offset, None)
    if wrong := wrong_value(message) or ("" if message.event_id else "event_id: is empty"):
        raise BadEvent(wrong)
    kind = message.WhichOneof("kind")
    if kind is None:
        raise BadEvent("of a kind that this release does not know")
    seed = None
    item: Input | None
    if kind == "rider_replied":
        item = _replied(message.rider_replied)
    elif kind == "rider_status":
        item = _status(message.rider_status, default_capacity)
        seed = _seed(message.rider_status)
    elif kind == "order_opened":
        item = _opened(message.order_opened)
    elif kind in LOAN_EVENTS:
        item = decode_loan_event(message)
    elif kind == "rider_rehomed":
        item = _rehomed(message.rider_rehomed, city)
    elif kind == "order_cancelled":
        item = OrderCancelled(0, OrderId(message.order_cancelled.order_id))
    else:
        item = OrderReadyChanged(0, OrderId(message.order_ready.order_id), message.order_ready.ready_ms)
    return LogEvent(message.event_id, offset, item, seed)


def _replied(message: city_event_pb2.RiderReplied) -> OfferReplied:
    reply = message.reply
    return OfferReplied(reply.ts_ms, OfferId(reply.offer_id), RiderId(message.rider_id), reply.accepted)


def _rehomed(message: city_event_pb2.RiderRehomed, city: str) -> Input | None:
    if message.from_city == city:
        return RiderMovedOut(message.at_ms, RiderId(message.rider_id), message.to_city)
    return RiderMovedIn(message.at_ms, RiderId(message.rider_id)) if message.to_city == city else None


def _status(message: city_event_pb2.RiderStatusChanged, default_capacity: int) -> Input:
    status, rider_id = message.status, RiderId(message.rider_id)
    order_id = OrderId(status.order_id)
    if status.status == rider_link_pb2.RIDER_STATUS_ONLINE:
        shift_end_ms = status.shift_end_ms or NO_END_MS
        return RiderOnline(
            status.ts_ms, rider_id, shift_end_ms, status.capacity or default_capacity, vehicle_of(status.vehicle)
        )
    if status.status == rider_link_pb2.RIDER_STATUS_OFFLINE:
        return RiderOffline(status.ts_ms, rider_id)
    if status.status == rider_link_pb2.RIDER_STATUS_ARRIVED:
        return RiderArrived(status.ts_ms, rider_id)
    if status.status == rider_link_pb2.RIDER_STATUS_PICKED_UP:
        return PickedUp(status.ts_ms, rider_id, (order_id,))
    if status.status == rider_link_pb2.RIDER_STATUS_DELIVERED:
        return Delivered(status.ts_ms, rider_id, order_id)
    raise BadEvent(f"rider_status.status: {status.status} is not known to this release")


def _seed(message: city_event_pb2.RiderStatusChanged) -> FixColumns | None:
    """The place that a rider coming online gives, as a fix of its session."""
    status = message.status
    if status.status != rider_link_pb2.RIDER_STATUS_ONLINE or not status.HasField("at"):
        return None
    seed = FixColumns.zeros(1)
    seed.rider_id[0], seed.session[0], seed.seq[0] = message.rider_id, message.session, status.seq
    seed.ts_ms[0], seed.lat_e7[0], seed.lng_e7[0] = status.ts_ms, status.at.lat_e7, status.at.lng_e7
    return seed


def _opened(message: city_event_pb2.OrderOpened) -> OrderOpened:
    return OrderOpened(
        at_ms=message.placed_ms,
        order_id=OrderId(message.order_id),
        restaurant_id=RestaurantId(message.restaurant_id),
        pickup=point(message.pickup),
        drop=point(message.dropoff),
        placed_ms=message.placed_ms,
        ready_ms=message.ready_ms,
        promised_ms=message.promised_ms,
    )


def point(message: LatLng) -> Point:
    """A place of the wire."""
    return Point(message.lat_e7, message.lng_e7)


def lat_lng(place: Point) -> LatLng:
    """A place for the wire."""
    return LatLng(lat_e7=place.lat_e7, lng_e7=place.lng_e7)
