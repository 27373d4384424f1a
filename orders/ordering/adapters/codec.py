"""Encode events as messages, decode messages to events."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from node.errors import FornoError
from node.outbox.message import Message
from orders.ids import checked_order_id
from orders.messaging.inbox import UNKNOWN_KIND
from orders.messaging.value_checks import checked_version, escape_nuls
from orders.model import ActionRequired, Order, OrderId, Position
from orders.ordering.event_inbox import ReceivedEvent, Source
from orders.ordering.events import Event, Fact, Opened, OrderFact, ReadyChanged, Withdrawn
from orders.ordering.pricing import parts_of
from orders.ordering.saga import Signal
from orders.ordering.transitions import Trigger
from proto.common.v1.types_pb2 import LatLng, Money
from proto.dispatch.v1 import city_event_pb2 as city_pb
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.orders.v1 import order_event_pb2 as pb
from proto.payments.v1.payment_event_pb2 import PaymentEvent
from proto.topics import CITY_EVENTS, ORDER_EVENTS


def encode(event: Event, wall_ms: int) -> Message:
    """The message that tells an event."""
    if isinstance(event, OrderFact):
        return _order_message(event)
    order_id, city = event.order.order_id, event.order.basket.city
    body = city_pb.CityEvent(city=city, sent_wall_ms=wall_ms)
    if isinstance(event, Opened):
        body.event_id = f"{order_id}-opened"
        body.order_opened.CopyFrom(_opened(event))
    elif isinstance(event, ReadyChanged):
        body.event_id = f"{order_id}-ready-{event.order.version}"
        body.order_ready.CopyFrom(city_pb.OrderReadyChanged(order_id=order_id, ready_ms=event.order.ready_ms))
    else:
        body.event_id = f"{order_id}-withdrawn"
        body.order_cancelled.CopyFrom(_withdrawn(event))
    return Message(body.event_id, order_id, CITY_EVENTS.name, body.SerializeToString(), city)


def decode(source: Source, payload: bytes) -> ReceivedEvent:
    """Decode a message. Raises `ValueError` when it does not even say which version of which order's events it is."""
    return event_of(source, payload, *parse(source, payload))


def parse(source: Source, payload: bytes) -> tuple[OrderId, PaymentEvent | DispatchEvent]:
    """Parse a message, and say which order it is about. Raises `ValueError` when it is about none."""
    try:
        message = PaymentEvent.FromString(payload) if source is Source.PAYMENTS else DispatchEvent.FromString(payload)
        return checked_order_id(message.order_id), message
    except (DecodeError, FornoError) as error:
        raise ValueError(f"not an event of {source}: {error}") from error


def event_of(source: Source, payload: bytes, order_id: OrderId, message: PaymentEvent | DispatchEvent) -> ReceivedEvent:
    """The event in a parsed message, which it may modify. Raises `ValueError` when its version cannot be stored."""
    version, flaw = checked_version(message.version), escape_nuls(message)
    raw = message.SerializeToString() if flaw else payload
    signal = _payment_signal(message) if isinstance(message, PaymentEvent) else _dispatch_signal(message)
    if signal is None:
        return ReceivedEvent(source, order_id, version, Signal(None, message.at_ms), raw, flaw or UNKNOWN_KIND)
    return ReceivedEvent(source, order_id, version, signal, raw, flaw)


def _order_message(event: OrderFact) -> Message:
    order = event.order
    event_id = f"{order.order_id}-{order.events}"
    body = pb.OrderEvent(
        event_id=event_id,
        order_id=order.order_id,
        city=order.basket.city,
        version=order.events,
        at_ms=event.at_ms,
    )
    amount = Money(minor=order.price.total_minor, currency=order.price.currency)
    match event.fact:
        case Fact.PLACED:
            placed = pb.Placed(user_id=order.user_id, amount=amount, payment_token=event.payment_token)
            placed.parts.CopyFrom(_parts(order))
            body.placed.CopyFrom(placed)
        case Fact.ACCEPTED:
            body.accepted.SetInParent()
        case Fact.DELIVERED:
            body.delivered.amount.CopyFrom(amount)
        case Fact.CANCELLED:
            body.cancelled.CopyFrom(pb.Cancelled(reason=event.reason))
        case Fact.COMPLETED:
            body.completed.SetInParent()
    return Message(event_id, order.order_id, ORDER_EVENTS.name, body.SerializeToString())


def _parts(order: Order) -> pb.Parts:
    parts = parts_of(order.price)
    return pb.Parts(
        food_minor=parts.food_minor,
        delivery_minor=parts.delivery_minor,
        tip_minor=parts.tip_minor,
        tax_minor=parts.tax_minor,
    )


def _opened(event: Opened) -> city_pb.OrderOpened:
    order, basket = event.order, event.order.basket
    return city_pb.OrderOpened(
        order_id=order.order_id,
        restaurant_id=basket.restaurant.restaurant_id,
        pickup=_lat_lng(basket.restaurant.at),
        dropoff=_lat_lng(basket.dropoff),
        placed_ms=order.placed_ms,
        ready_ms=order.ready_ms,
        promised_ms=order.promised_ms,
        items=basket.pieces,
    )


def _withdrawn(event: Withdrawn) -> city_pb.OrderCancelled:
    return city_pb.OrderCancelled(order_id=event.order.order_id, reason=event.reason)


def _lat_lng(at: Position) -> LatLng:
    return LatLng(lat_e7=at.lat_e7, lng_e7=at.lng_e7)


def _payment_signal(event: PaymentEvent) -> Signal | None:
    """The signal of an event; None when its kind is unknown."""
    at_ms = event.at_ms
    match event.WhichOneof("kind"):
        case "authorised":
            return Signal(Trigger.AUTHORISE, at_ms)
        case "declined":
            return Signal(Trigger.DECLINE, at_ms, reason=event.declined.reason)
        case "captured":
            return Signal(Trigger.CAPTURE, at_ms)
        case "action_required":
            asked = event.action_required
            return Signal(None, at_ms, action=ActionRequired(asked.kind, asked.client_secret, asked.redirect_url))
        case "voided":
            # The order was cancelled or failed already: nothing is left to do.
            return Signal(None, at_ms)
        case "refunded":
            return Signal(None, at_ms, refunded_minor=event.refunded.total.minor)
    return None


def _dispatch_signal(event: DispatchEvent) -> Signal | None:
    """The signal of an event; None when its kind is unknown."""
    at_ms = event.at_ms
    match event.WhichOneof("kind"):
        case "assigned":
            return Signal(Trigger.ASSIGN, at_ms, rider_id=event.assigned.rider_id, eta_ms=event.assigned.eta_ms)
        case "unassigned":
            return Signal(Trigger.UNASSIGN, at_ms, reason=event.unassigned.reason)
        case "picked_up":
            return Signal(Trigger.PICK_UP, at_ms, rider_id=event.picked_up.rider_id, eta_ms=event.picked_up.eta_ms)
        case "delivered":
            return Signal(Trigger.DELIVER, at_ms, rider_id=event.delivered.rider_id)
        case "failed":
            return Signal(Trigger.FAIL, at_ms, reason=event.failed.reason)
        case "eta_changed":
            return Signal(None, at_ms, eta_ms=event.eta_changed.eta_ms)
    return None
