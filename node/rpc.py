"""gRPC as every service does it: one way to build a server, one table of errors, one way to read them back.

Every server answers health checks and reflection, and every error carries `google.rpc.ErrorInfo` (and `BadRequest` with
the field for bad input), so that a client need never parse a message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from node.errors import Conflict, FornoError, Invalid, NotFound, Rejected, Retryable, Unauthenticated

DOMAIN = "forno"
Context = grpc.aio.ServicerContext[Any, Any]

#: Longest message and detail of an error, characters. gRPC ends a call whose trailers pass 8 KiB, the message stands in
#: them three times, and all but printable ASCII takes up to twelve bytes a character.
_MAX_PRINTABLE, _MAX_OTHER = 1_500, 200
_MAX_DETAIL = 200

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

#: For the channels of who calls a service: by itself a channel waits for up to two minutes before it connects again.
CALLER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

#: Longest request of a service that names no other limit.
MAX_REQUEST_BYTES = 1 << 20


def status_of(error: FornoError) -> grpc.StatusCode:
    """The gRPC status of an error."""
    return next(code for kind, code in STATUS_OF if isinstance(error, kind))


def rich_status(error: FornoError) -> status_pb2.Status:
    """The error as `google.rpc.Status` with its details."""
    message = _cut(str(error))
    told = {name: _cut(value, _MAX_DETAIL) for name, value in error.details.items()}
    packed = [_packed(error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=told))]
    if isinstance(error, Invalid):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(error.field, _MAX_DETAIL), description=message
        )
        packed.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    code: int = status_of(error).value[0]
    return status_pb2.Status(code=code, message=message, details=packed)


def _cut(text: str, longest: int = _MAX_PRINTABLE) -> str:
    """The text, or its beginning where the whole would not fit into the trailers of a call."""
    most = min(longest, _MAX_PRINTABLE if text.isascii() and text.isprintable() else _MAX_OTHER)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


async def abort(context: Context, error: FornoError) -> NoReturn:
    """Ends the call with the error."""
    status = rpc_status.to_status(rich_status(error))
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort returned")


def check_nothing(request: Message) -> None:
    """The check of a service whose methods check their fields themselves."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Decodes and checks the request of a call, and turns a `FornoError` that it raises into its status.

    A request that cannot be decoded (text that is no UTF-8 among it) is INVALID_ARGUMENT, reason BAD_MESSAGE; gRPC
    would call it UNKNOWN. Calls with a stream of requests, and those of gRPC's own services, pass as they are.
    """

    def __init__(self, check: Callable[[Any], None]) -> None:
        self._check = check

    async def intercept_service(
        self, continuation: Callable[..., Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming or handler_call_details.method.startswith("/grpc."):
            return handler
        decode = handler.request_deserializer

        async def answered(data: bytes, context: Context) -> Any:
            try:
                return await handler.unary_unary(self._checked(decode, data), context)
            except FornoError as error:
                await abort(context, error)

        async def streamed(data: bytes, context: Context) -> AsyncIterator[Any]:
            try:
                async for answer in handler.unary_stream(self._checked(decode, data), context):
                    yield answer
            except FornoError as error:
                await abort(context, error)

        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(streamed, None, handler.response_serializer)
        return grpc.unary_unary_rpc_method_handler(answered, None, handler.response_serializer)

    def _checked(self, decode: Callable[[bytes], Message], data: bytes) -> Message:
        try:
            request = decode(data)
        except DecodeError as error:
            raise Invalid(
                "request", "cannot be decoded, or holds text that is no UTF-8", reason="BAD_MESSAGE"
            ) from error
        self._check(request)
        return request


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
class CallFault:
    """Error of a failed call, read back from its details."""

    code: grpc.StatusCode
    reason: str
    message: str
    field: str


def fault_of(error: grpc.RpcError) -> CallFault:
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
    return CallFault(code, reason, error.details() or "", field)


class Server:
    """A gRPC server with health and reflection; its health is NOT_SERVING until `start` returns."""

    def __init__(
        self,
        address: str,
        services: Sequence[str],
        add: Iterable[Callable[[grpc.aio.Server], None]],
        *,
        max_request_bytes: int = MAX_REQUEST_BYTES,
        check: Callable[[Any], None] = check_nothing,
    ) -> None:
        self._readiness = ReadinessInterceptor()
        options = [*SERVER_OPTIONS, ("grpc.max_receive_message_length", max_request_bytes)]
        self._server = grpc.aio.server(interceptors=[self._readiness, CallInterceptor(check)], options=options)
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
