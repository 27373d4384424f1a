"""Payments' events to messages, orders' messages to instructions."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from node.errors import FornoError
from orders.ids import checked_order_id
from orders.messaging.message import Message
from orders.payments.instructions import Instruction, Wish
from orders.payments.model import Money, Payment, PaymentStatus
from proto.common.v1 import types_pb2
from proto.orders.v1.order_event_pb2 import OrderEvent
from proto.payments.v1 import payment_event_pb2 as pb
from proto.topics import PAYMENT_EVENTS

_WISHES = {"placed": Wish.AUTHORISE, "delivered": Wish.CAPTURE, "cancelled": Wish.CANCEL}


def encode(payment: Payment, reason: str, at_ms: int) -> Message:
    """The message that tells a payment's status."""
    event_id = f"{payment.order_id}-payment-{payment.version}"
    event = pb.PaymentEvent(event_id=event_id, order_id=payment.order_id, version=payment.version, at_ms=at_ms)
    amount = types_pb2.Money(minor=payment.amount.minor, currency=payment.amount.currency)
    match payment.status:
        case PaymentStatus.AUTHORISED:
            event.authorised.amount.CopyFrom(amount)
        case PaymentStatus.DECLINED:
            event.declined.CopyFrom(pb.Declined(reason=reason))
        case PaymentStatus.CAPTURED:
            event.captured.amount.CopyFrom(amount)
        case PaymentStatus.VOIDED:
            event.voided.SetInParent()
        case PaymentStatus.REFUNDED:
            event.refunded.amount.CopyFrom(amount)
        case PaymentStatus.PENDING:
            raise ValueError(f"nothing to tell of a pending payment: {payment.order_id}")
    return Message(event_id, payment.order_id, PAYMENT_EVENTS.name, event.SerializeToString())


def decode(payload: bytes) -> Instruction:
    """What an order's event asks for. Raises `ValueError` when it says nothing that can be understood."""
    try:
        event = OrderEvent.FromString(payload)
        kind = event.WhichOneof("kind")
        if kind is None:
            raise ValueError("an order's event of no known kind")
        order_id = checked_order_id(event.order_id)
    except (DecodeError, FornoError) as error:
        raise ValueError(f"not an event of an order: {error}") from error
    wish = _WISHES.get(kind, Wish.NOTHING)
    if wish is not Wish.AUTHORISE:
        return Instruction(order_id, event.version, wish, payload)
    amount = Money(event.placed.amount.minor, event.placed.amount.currency)
    return Instruction(order_id, event.version, wish, payload, amount, event.placed.payment_token)
