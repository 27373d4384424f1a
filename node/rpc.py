"""gRPC as every service does it: one way to build a server, one table of errors, one way to read them back.

Every server answers health checks and reflection, and every error carries `google.rpc.ErrorInfo` (and `BadRequest` with
the field for bad input), so that a client need never parse a message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from node.errors import Conflict, FornoError, Invalid, NotFound, Rejected, Retryable, Unauthenticated

DOMAIN = "forno"

#: First match wins, so the narrower kinds stand first.
STATUS_OF: tuple[tuple[type[FornoError], grpc.StatusCode], ...] = (
    (Invalid, grpc.StatusCode.INVALID_ARGUMENT),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Conflict, grpc.StatusCode.ALREADY_EXISTS),
    (Rejected, grpc.StatusCode.FAILED_PRECONDITION),
    (Retryable, grpc.StatusCode.UNAVAILABLE),
    (FornoError, grpc.StatusCode.INTERNAL),
)

#: Streams live for hours behind NATs and balancers: keepalive finds the dead ones.
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.so_reuseport", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)

#: Longest request of a service that names no other limit.
MAX_REQUEST_BYTES = 1 << 20


def status_of(error: FornoError) -> grpc.StatusCode:
    """The gRPC status of an error."""
    return next(code for kind, code in STATUS_OF if isinstance(error, kind))


def rich_status(error: FornoError) -> status_pb2.Status:
    """The error as `google.rpc.Status` with its details."""
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.details)]
    packed = [_packed(detail) for detail in details]
    if isinstance(error, Invalid):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=str(error))
        packed.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    code: int = status_of(error).value[0]
    return status_pb2.Status(code=code, message=str(error), details=packed)


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: FornoError) -> NoReturn:
    """Ends the call with the error."""
    status = rpc_status.to_status(rich_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort returned")


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Turns a `FornoError` raised by a unary method into its status; anything else is logged by gRPC as UNKNOWN."""

    async def intercept_service(
        self, continuation: Callable[..., Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        inner = handler.unary_unary

        async def guarded(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                return await inner(request, context)
            except FornoError as error:
                await abort(context, error)

        return grpc.unary_unary_rpc_method_handler(guarded, handler.request_deserializer, handler.response_serializer)


class ReadinessInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls with UNAVAILABLE, reason NOT_READY, until the service has loaded what it answers from."""

    def __init__(self) -> None:
        self.ready = False

    async def intercept_service(
        self, continuation: Callable[..., Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        if self.ready or handler_call_details.method.startswith("/grpc."):  # health and reflection
            return await continuation(handler_call_details)

        async def refused(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> NoReturn:
            await abort(context, Retryable("this service is still loading", reason="NOT_READY"))

        return grpc.unary_unary_rpc_method_handler(refused)


@dataclass(frozen=True, slots=True)
class Fault:
    """What a failed call said, read back from its details."""

    code: grpc.StatusCode
    reason: str
    message: str
    field: str


def fault_of(error: grpc.RpcError) -> Fault:
    """Reads the details of a failed call; reason is the status name where the peer sent none."""
    code: grpc.StatusCode = error.code()
    reason, field = code.name, ""
    try:
        status = rpc_status.from_call(error)
    except ValueError:  # trailing metadata of a broken peer
        status = None
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason, field = info.reason, info.metadata.get("field", "")
    return Fault(code, reason, error.details() or "", field)


class Server:
    """A gRPC server with health and reflection; its health is NOT_SERVING until `start` returns."""

    def __init__(
        self,
        address: str,
        services: Sequence[str],
        add: Iterable[Callable[[grpc.aio.Server], None]],
        *,
        max_request_bytes: int = MAX_REQUEST_BYTES,
    ) -> None:
        self._readiness = ReadinessInterceptor()
        options = [*SERVER_OPTIONS, ("grpc.max_receive_message_length", max_request_bytes)]
        self._server = grpc.aio.server(interceptors=[self._readiness, ErrorInterceptor()], options=options)
        self._health = health.aio.HealthServicer()
        self._names = ("", *services)
        for register in add:
            register(self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection([*services, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self.port = self._server.add_insecure_port(address)

    async def start(self, loaded: Awaitable[object] | None = None) -> None:
        """Begins to answer: health at once, all else when what it needs is loaded."""
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.start()
        if loaded is not None:
            await loaded
        self._readiness.ready = True
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float = 2.0) -> None:
        """Says NOT_SERVING, lets running calls end for `grace_s`, then ends them."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)
