"""`payments.v1.Payments`: for support and tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orders.errors import UnknownOrder
from orders.ids import checked_order_id
from orders.payments.ports import PaymentBook
from proto.common.v1.types_pb2 import Money
from proto.payments.v1 import payments_pb2 as pb
from proto.payments.v1.payments_pb2_grpc import PaymentsServicer

SERVICE = pb.DESCRIPTOR.services_by_name["Payments"].full_name


@dataclass(frozen=True, slots=True)
class PaymentsApi(PaymentsServicer):
    """The gRPC face of the payment book."""

    book: PaymentBook

    async def Refund(self, request: pb.RefundRequest, context: Any) -> pb.RefundResponse:  # noqa: N802
        raise NotImplementedError

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:  # noqa: N802
        order_id = checked_order_id(request.order_id)
        payment = await self.book.get(order_id)
        if payment is None:
            raise UnknownOrder(order_id)
        message = pb.Payment(
            order_id=order_id,
            status=pb.PaymentStatus.Value(f"PAYMENT_STATUS_{payment.status}"),
            amount=Money(minor=payment.amount.minor, currency=payment.amount.currency),
            provider_ref=payment.provider_ref,
            version=payment.version,
        )
        return pb.GetResponse(payment=message)
