"""`payments.v1.Payments`: for support, operators and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from node.errors import Invalid
from orders.call_limit import CallLimit
from orders.errors import UnknownOrder
from orders.ids import checked_order_id
from orders.model import OrderId
from orders.payments import model
from orders.payments.metrics import TURNED_AWAY
from orders.payments.ports import Refunds
from orders.text_checks import checked_key, checked_reason
from proto.common.v1 import types_pb2
from proto.payments.v1 import payments_pb2 as pb
from proto.payments.v1.payments_pb2_grpc import PaymentsServicer

SERVICE = pb.DESCRIPTOR.services_by_name["Payments"].full_name


@dataclass(frozen=True, slots=True)
class PaymentsApi(PaymentsServicer):
    """The RPCs of payments; `wake` is called when there is something to do."""

    payments: Refunds
    wake: Callable[[], None]
    limit: CallLimit = field(default_factory=lambda: CallLimit(TURNED_AWAY))

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:  # noqa: N802
        order_id = checked_order_id(request.order_id)
        async with self.limit.admitted():
            payment = await self._payment(order_id)
            refunds = await self.payments.refunds(order_id)
        currency = payment.amount.currency
        return pb.GetResponse(
            payment=pb.Payment(
                order_id=order_id,
                status=pb.PaymentStatus.Value(f"PAYMENT_STATUS_{payment.status}"),
                amount=types_pb2.Money(minor=payment.amount.minor, currency=currency),
                provider_ref=payment.provider_ref,
                version=payment.version,
                refunded=types_pb2.Money(minor=payment.refunded_minor, currency=currency),
            ),
            refunds=[_refund(order_id, refund, currency) for refund in refunds],
        )

    async def Refund(self, request: pb.RefundRequest, context: Any) -> pb.RefundResponse:  # noqa: N802
        order_id, key = checked_order_id(request.order_id), checked_key(request.idempotency_key)
        reason = checked_reason(request.reason) or "refunded"
        amount = _amount(request.amount) if request.HasField("amount") else None
        async with self.limit.admitted():
            refund, replayed = await self.payments.ask_refund(order_id, key, amount, reason)
            self.wake()
            currency = (await self._payment(order_id)).amount.currency
        return pb.RefundResponse(refund=_refund(order_id, refund, currency), replayed=replayed)

    async def _payment(self, order_id: OrderId) -> model.Payment:
        payment = await self.payments.get(order_id)
        if payment is None:
            raise UnknownOrder(order_id)
        return payment


def _amount(money: types_pb2.Money) -> model.Money:
    if money.minor <= 0:
        raise Invalid("amount", f"{money.minor} minor units, must be more than nothing", reason="BAD_AMOUNT")
    return model.Money(money.minor, money.currency)


def _refund(order_id: OrderId, refund: model.Refund, currency: str) -> pb.Refund:
    return pb.Refund(
        order_id=order_id,
        idempotency_key=refund.key,
        amount=types_pb2.Money(minor=refund.minor, currency=currency),
        status=pb.RefundStatus.Value(f"REFUND_STATUS_{refund.status}"),
        reason=refund.reason,
        refusal=refund.refusal,
    )
