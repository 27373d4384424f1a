"""Kitchens over gRPC."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

from gateway.live.kitchen.model import Board, Command, Kitchen, Ticket
from gateway.order_status import status_word
from node.errors import FornoError, Invalid, NotFound, Rejected, Retryable
from node.rpc import fault_of
from proto.orders.v1 import kitchen_pb2 as pb
from proto.orders.v1.kitchen_pb2_grpc import KitchensStub

#: Wall seconds a question may take.
DEADLINE_S = 3.0


class ServiceKitchens:
    """`KitchenSource` on the orders service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._kitchens = KitchensStub(channel)

    async def board(self, kitchen: Kitchen) -> Board:
        request = pb.BoardRequest(city=kitchen.city, restaurant_id=kitchen.restaurant_id)
        try:
            answer = await self._kitchens.Board(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error
        pace = answer.pace
        about = {
            "auto_accept": answer.auto_accept,
            "pace": {
                "median": round(pace.median, 3),
                "p90": round(pace.p90, 3),
                "samples_hour": pace.samples_hour,
                "samples": pace.samples,
            },
            "more": answer.more,
            "name": answer.name,
        }
        return Board(tuple(map(_ticket, answer.tickets)), about)

    async def say(self, kitchen: Kitchen, command: Command) -> tuple[Ticket | None, bool]:
        try:
            if command.kind == "auto_accept":
                choice = pb.ConfigureRequest(**kitchen._asdict(), auto_accept=command.on)
                await self._kitchens.Configure(choice, timeout=DEADLINE_S)
                return None, True
            answer = await self._kitchens.Answer(_request(kitchen, command), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _error(error) from error
        return _ticket(answer.ticket), answer.changed


def _request(kitchen: Kitchen, command: Command) -> pb.AnswerRequest:
    request = pb.AnswerRequest(**kitchen._asdict(), order_id=command.order_id)
    match command.kind:
        case "accept":
            request.accept.preparation_s = command.seconds
        case "reject":
            request.reject.reason = command.reason
        case "ready_in":
            request.ready_in.seconds = command.seconds
        case _:
            request.ready.SetInParent()
    # A field set to its default does not say which answer it is.
    getattr(request, command.kind).SetInParent()
    return request


def _ticket(ticket: pb.Ticket) -> Ticket:
    body: dict[str, Any] = {
        "order_id": ticket.order_id,
        "status": status_word(ticket.status) or "unspecified",
        "items": [{"name": item.name, "quantity": item.quantity} for item in ticket.items],
        "placed_ms": ticket.placed_ms,
        "since_ms": ticket.since_ms,
        "ready_ms": ticket.ready_ms or None,
        "cooked_ms": ticket.cooked_ms or None,
        "promised_ms": ticket.promised_ms,
        "preparation_s": ticket.preparation_s,
        "version": ticket.version,
    }
    return Ticket(ticket.order_id, ticket.version, body)


def _error(error: grpc.aio.AioRpcError) -> FornoError:
    fault = fault_of(error)
    match fault.code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            field, _, message = fault.message.partition(": ")
            return Invalid(field, message, reason=fault.reason)
        case grpc.StatusCode.NOT_FOUND:
            return NotFound(fault.message, reason=fault.reason)
        case grpc.StatusCode.FAILED_PRECONDITION:
            return Rejected(fault.message, reason=fault.reason)
        case _:
            return Retryable(f"no answer: {fault.message}", reason=fault.reason)
