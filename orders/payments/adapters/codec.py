"""Encode events of payments as messages, decode messages of orders to instructions."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from google.protobuf.message import DecodeError

from node.errors import FornoError
from node.outbox.message import Message
from orders.ids import checked_order_id
from orders.messaging.inbox import UNKNOWN_KIND
from orders.messaging.value_checks import checked_version, escape_nuls
from orders.money import Parts
from orders.payments.instructions import Instruction, InstructionKind
from orders.payments.model import Money, Payment, PaymentStatus
from orders.payments.transitions import Settled
from proto.common.v1 import types_pb2
from proto.orders.v1 import order_event_pb2 as order_pb
from proto.payments.v1 import payment_event_pb2 as pb
from proto.topics import PAYMENT_EVENTS

_KINDS = {
    "placed": InstructionKind.AUTHORISE,
    "delivered": InstructionKind.CAPTURE,
    "cancelled": InstructionKind.CANCEL,
}


def encode(settled: Settled, at_ms: int) -> Message:
    """The message that tells what an answer made of a payment."""
    payment, given_back = settled.payment, settled.refund
    if given_back is not None:
        return _message(payment, at_ms, refunded=_refunded(payment, given_back.minor))
    if settled.required is not None:
        required = settled.required
        asked = pb.ActionRequired(
            kind=required.kind, client_secret=required.client_secret, redirect_url=required.redirect_url
        )
        return _message(payment, at_ms, action_required=asked)
    amount = types_pb2.Money(minor=payment.amount.minor, currency=payment.amount.currency)
    match payment.status:
        case PaymentStatus.AUTHORISED:
            return _message(payment, at_ms, authorised=pb.Authorised(amount=amount))
        case PaymentStatus.DECLINED:
            return _message(payment, at_ms, declined=pb.Declined(reason=settled.reason))
        case PaymentStatus.CAPTURED:
            return _message(payment, at_ms, captured=pb.Captured(amount=amount))
        case PaymentStatus.VOIDED:
            return _message(payment, at_ms, voided=pb.Voided())
        case other:
            raise ValueError(f"nothing to tell of a payment that is {other}: {payment.order_id}")


def encode_void(payment: Payment, at_ms: int) -> Message:
    """The message that tells that a payment was given up before anybody was asked."""
    return _message(payment, at_ms, voided=pb.Voided())


def _refunded(payment: Payment, minor: int) -> pb.Refunded:
    currency = payment.amount.currency
    return pb.Refunded(
        amount=types_pb2.Money(minor=minor, currency=currency),
        total=types_pb2.Money(minor=payment.refunded_minor, currency=currency),
    )


def _message(payment: Payment, at_ms: int, **kind: Any) -> Message:
    event_id = f"{payment.order_id}-payment-{payment.version}"
    event = pb.PaymentEvent(event_id=event_id, order_id=payment.order_id, version=payment.version, at_ms=at_ms, **kind)
    return Message(event_id, payment.order_id, PAYMENT_EVENTS.name, event.SerializeToString())


def decode(payload: bytes) -> Instruction:
    """Decode what an order's event asks for. Raises `ValueError` when it does not even say which version of which
    order's events it is, or asks for what does not add up.
    """
    try:
        event = order_pb.OrderEvent.FromString(payload)
        order_id = checked_order_id(event.order_id)
    except (DecodeError, FornoError) as error:
        raise ValueError(f"not an event of an order: {error}") from error
    version, flaw = checked_version(event.version), escape_nuls(event)
    raw = event.SerializeToString() if flaw else payload
    name = event.WhichOneof("kind")
    if name is None:
        return Instruction(order_id, version, InstructionKind.NOTHING, raw, flaw=flaw or UNKNOWN_KIND)
    kind = _KINDS.get(name, InstructionKind.NOTHING)
    if kind is not InstructionKind.AUTHORISE:
        return Instruction(order_id, version, kind, raw, flaw=flaw)
    amount = Money(event.placed.amount.minor, event.placed.amount.currency)
    parts = _parts(event.placed.parts)
    if sum(astuple(parts)) != amount.minor:
        raise ValueError(f"the parts of {order_id} do not add up to its amount")
    return Instruction(order_id, version, kind, raw, amount, event.placed.payment_token, parts, flaw)


def _parts(parts: order_pb.Parts) -> Parts:
    return Parts(parts.food_minor, parts.delivery_minor, parts.tip_minor, parts.tax_minor)
