"""`orders.v1.Kitchens`: translate, call the service, translate back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node.clock import Clock
from node.errors import Invalid
from orders.call_limit import CallLimit
from orders.kitchen.answers import Accept, Answer, Ready, ReadyIn, Reject
from orders.kitchen.model import Kitchen
from orders.kitchen.pace import Pace
from orders.kitchen.service import KitchenService
from orders.metrics import TURNED_AWAY
from orders.model import Order
from proto.orders.v1 import kitchen_pb2 as pb
from proto.orders.v1.kitchen_pb2_grpc import KitchensServicer
from proto.orders.v1.orders_pb2 import OrderStatus

SERVICE = pb.DESCRIPTOR.services_by_name["Kitchens"].full_name


@dataclass(frozen=True, slots=True)
class KitchensApi(KitchensServicer):
    """The RPCs of `KitchenService`."""

    service: KitchenService
    clock: Clock
    limit: CallLimit = field(default_factory=lambda: CallLimit(TURNED_AWAY))

    async def Board(self, request: pb.BoardRequest, context: Any) -> pb.BoardResponse:  # noqa: N802
        async with self.limit.admitted():
            board = await self.service.board(Kitchen(request.city, request.restaurant_id))
        return pb.BoardResponse(
            tickets=map(ticket, board.tickets),
            auto_accept=board.auto_accept,
            pace=_pace(board.pace),
            now_ms=self.clock.domain_ms(),
            more=board.more,
            name=board.tickets[-1].basket.restaurant.name if board.tickets else "",
        )

    async def Answer(self, request: pb.AnswerRequest, context: Any) -> pb.AnswerResponse:  # noqa: N802
        kitchen = Kitchen(request.city, request.restaurant_id)
        async with self.limit.admitted():
            order, changed = await self.service.answer(kitchen, request.order_id, _answer(request))
        return pb.AnswerResponse(ticket=ticket(order), changed=changed)

    async def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:  # noqa: N802
        async with self.limit.admitted():
            await self.service.configure(Kitchen(request.city, request.restaurant_id), request.auto_accept)
        return pb.ConfigureResponse()


def ticket(order: Order) -> pb.Ticket:
    """An order as its kitchen sees it."""
    return pb.Ticket(
        order_id=order.order_id,
        status=OrderStatus.Value(f"ORDER_STATUS_{order.status}"),
        items=[pb.TicketItem(name=item.name or item.sku, quantity=item.quantity) for item in order.basket.items],
        placed_ms=order.placed_ms,
        since_ms=order.history[-1].at_ms,
        ready_ms=order.ready_ms,
        cooked_ms=order.cooked_ms,
        promised_ms=order.promised_ms,
        preparation_s=order.preparation_s,
        version=order.version,
    )


def _answer(request: pb.AnswerRequest) -> Answer:
    match request.WhichOneof("answer"):
        case "accept":
            return Accept(request.accept.preparation_s)
        case "reject":
            return Reject(request.reject.reason)
        case "ready":
            return Ready()
        case "ready_in":
            return ReadyIn(request.ready_in.seconds)
        case _:
            raise Invalid("answer", "one of accept, reject, ready, ready_in", reason="NO_ANSWER")


def _pace(pace: Pace) -> pb.Pace:
    return pb.Pace(median=pace.median, p90=pace.p90, samples_hour=pace.samples_hour, samples=pace.samples)
