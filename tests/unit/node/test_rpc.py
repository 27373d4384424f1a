"""Errors on the wire: one table, rich details, read back by the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from node.errors import Conflict, FornoError, Invalid, NotFound, Rejected, Retryable, Unauthenticated
from node.rpc import Server, fault_of, rich_status
from proto.payments.v1 import payments_pb2 as pb
from proto.payments.v1.payments_pb2_grpc import PaymentsServicer, PaymentsStub, add_PaymentsServicer_to_server

CASES = [
    (Invalid("items[0].quantity", "must be 1..99"), grpc.StatusCode.INVALID_ARGUMENT, "items[0].quantity"),
    (Unauthenticated("who are you?"), grpc.StatusCode.UNAUTHENTICATED, ""),
    (NotFound("no such payment"), grpc.StatusCode.NOT_FOUND, ""),
    (Conflict("another body", reason="IDEMPOTENCY_CONFLICT"), grpc.StatusCode.ALREADY_EXISTS, ""),
    (Rejected("delivered already"), grpc.StatusCode.FAILED_PRECONDITION, ""),
    (Retryable("later"), grpc.StatusCode.UNAVAILABLE, ""),
    (FornoError("a bug"), grpc.StatusCode.INTERNAL, ""),
]


class Failing(PaymentsServicer):
    """Raises the case whose number it is asked for."""

    async def Get(self, request: pb.GetRequest, context: object) -> pb.GetResponse:  # noqa: N802
        raise CASES[int(request.order_id)][0]


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose every call fails."""
    failing = Failing()  # type: ignore[abstract]  # one method is enough
    server = Server("127.0.0.1:0", ["payments.v1.Payments"], [lambda s: add_PaymentsServicer_to_server(failing, s)])
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as open_channel:
        yield open_channel
    await server.stop(0)


@pytest.mark.parametrize("case", range(len(CASES)), ids=[type(error).__name__ for error, _, _ in CASES])
async def test_each_error_has_its_status_and_details(channel: grpc.aio.Channel, case: int) -> None:
    """Status, reason, message and field arrive as they were raised."""
    error, code, field = CASES[case]
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await PaymentsStub(channel).Get(pb.GetRequest(order_id=str(case)))
    fault = fault_of(raised.value)
    assert (fault.code, fault.reason, fault.message, fault.field) == (code, error.reason, str(error), field)


async def test_a_request_that_is_no_message_is_bad_input(channel: grpc.aio.Channel) -> None:
    """Text that is no UTF-8 is the caller's fault; gRPC alone would say UNKNOWN, as of a fault of ours."""
    call = channel.unary_unary("/payments.v1.Payments/Get", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"\x0a\x03\xed\xa0\x80")
    fault = fault_of(raised.value)
    assert (fault.code, fault.reason, fault.field) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_MESSAGE", "request")


@pytest.mark.parametrize("text", ["x" * 100_000, "\x1b" * 100_000, "\U0001f355" * 100_000])
def test_an_error_fits_into_the_trailers_of_a_call(text: str) -> None:
    """gRPC ends a call with trailers above 8 KiB as RESOURCE_EXHAUSTED: long messages and details are cut."""
    status = rich_status(NotFound(text, details={"city": text}))
    message = len(quote(status.message))
    assert message + 4 / 3 * len(status.SerializeToString()) < 8_000
    assert status.message.endswith("...")
    status = rich_status(Invalid(text, text))
    assert len(quote(status.message)) + 4 / 3 * len(status.SerializeToString()) < 8_000


async def test_every_server_tells_its_health_and_its_services(channel: grpc.aio.Channel) -> None:
    """Health is SERVING and reflection lists the service."""
    health = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service="payments.v1.Payments")
    )
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    assert "payments.v1.Payments" in {s.name for s in answers[0].list_services_response.service}


async def test_a_service_that_could_not_load_is_not_serving() -> None:
    """Health says NOT_SERVING and calls are refused as retryable until what it needs is there; then both change."""
    failing, loaded = Failing(), asyncio.Event()  # type: ignore[abstract]
    server = Server("127.0.0.1:0", ["payments.v1.Payments"], [lambda s: add_PaymentsServicer_to_server(failing, s)])
    starting = asyncio.create_task(server.start(loaded=loaded.wait()))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "payments.v1.Payments"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service), wait_for_ready=True, timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await PaymentsStub(channel).Get(pb.GetRequest(order_id="0"))
        assert (raised.value.code(), fault_of(raised.value).reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
        loaded.set()
        await starting
        assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await PaymentsStub(channel).Get(pb.GetRequest(order_id="0"))
        assert fault_of(raised.value).field == "items[0].quantity"
    await server.stop(0)
