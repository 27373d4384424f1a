"""Serve the WebSocket endpoints: check who may watch what, send frames until the socket ends."""

from __future__ import annotations

import asyncio
import http
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from gateway import metrics
from gateway.errors import Forbidden, TooManyRequests
from gateway.live.connection import LiveConnection, listening_socket
from gateway.live.hub import Hub, WatchedOrder
from gateway.live.kitchen.hub import KitchenHub
from gateway.live.kitchen.session import kitchen_of, serve_kitchen
from gateway.live.model import OrderId
from gateway.live.operator_view import OperatorHub
from gateway.live.socket_queue import SocketQueue
from node.errors import FornoError, Invalid, NotFound, Retryable, Unauthenticated
from node.tokens import Subject, TokenVerifier

#: A browser cannot see the HTTP status of a refused handshake, so refusals are close codes: 4000 + the HTTP status.
_CLOSE: tuple[tuple[type[FornoError], int], ...] = (
    (Invalid, 4400),
    (Unauthenticated, 4401),
    (Forbidden, 4403),
    (NotFound, 4404),
    (TooManyRequests, 4429),
    (Retryable, 4503),
)
#: Wall seconds between two pings of ours.
PING_S = 15
#: A peer that has not answered a ping for so long is gone. Long, because a slow reader gets to its ping late.
PONG_S = 330
#: A watcher has nothing to say: after so many messages it is shown out.
MAX_MESSAGES = 20
#: Wall seconds a slow reader has to take the last frames before its socket is cut.
CLOSE_WITHIN_S = 20.0

_ORDER_PATH = re.compile(r"^/v1/live/orders/(?P<order>[0-9a-zA-Z-]{1,64})$")
_KITCHEN_PATH = re.compile(r"^/v1/live/kitchens/(?P<restaurant>[^/]{1,200})$")
_OPS_PATH = "/v1/live/ops"
#: Epochs and sequence numbers have 64 bits: more digits are no number of ours.
_NUMBER = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A request to watch, from the socket's address."""

    path: str
    token: str
    epoch: int
    seq: int


class LiveServer:
    """Accepts sockets until closed."""

    def __init__(
        self,
        hub: Hub,
        ops: OperatorHub,
        kitchens: KitchenHub,
        verifier: TokenVerifier,
        log: structlog.stdlib.BoundLogger,
        *,
        max_sockets: int,
        max_sockets_per_token: int,
    ) -> None:
        self._hub = hub
        self._ops = ops
        self._kitchens = kitchens
        self._verifier = verifier
        self._log = log
        self._max_sockets = max_sockets
        self._max_per_token = max_sockets_per_token
        self._open: Counter[str] = Counter()
        self._sockets = 0
        self._server: Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Begins to accept."""
        listener = listening_socket(host, port)
        self.port = listener.getsockname()[1]
        self._server = await serve(
            self._handle,
            sock=listener,
            create_connection=LiveConnection,
            process_request=self._before,
            compression=None,
            write_limit=0,
            ping_interval=PING_S,
            ping_timeout=PONG_S,
            close_timeout=3,
            max_size=1024,
            max_queue=4,
            server_header=None,
        )

    async def close(self) -> None:
        """Tells all watchers to go elsewhere (1001) and closes."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _before(self, connection: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, '{"status":"ready"}\n')
        if path != _OPS_PATH and _ORDER_PATH.match(path) is None and _KITCHEN_PATH.match(path) is None:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "watch /v1/live/orders/{order_id}\n")
        if self._sockets >= self._max_sockets:
            metrics.REFUSED.labels("full").inc()
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "this process is full: try again\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        assert isinstance(connection, LiveConnection)
        self._sockets += 1
        try:
            await self._serve(connection)
        except FornoError as error:
            code = next((code for kind, code in _CLOSE if isinstance(error, kind)), 4500)
            metrics.REFUSED.labels(error.reason).inc()
            await connection.close(code, f"{error.reason}: {error}"[:120])
        except ConnectionClosed:
            pass
        finally:
            self._sockets -= 1

    async def _serve(self, connection: LiveConnection) -> None:
        subscription = _subscription(connection)
        subject = self._verifier.verify(subscription.token) if subscription.token else None
        if subject is None:
            raise Unauthenticated("no token: append ?token=<token>", reason="TOKEN_MISSING")
        async with self._seat(subject):
            found = _ORDER_PATH.match(subscription.path)
            kitchen = _KITCHEN_PATH.match(subscription.path)
            if kitchen is not None:
                own = kitchen_of(subject, unquote(kitchen["restaurant"]))
                await serve_kitchen(self._kitchens, connection, own, subscription.epoch, subscription.seq)
            elif found is None:
                await self._serve_ops(connection, subject)
            else:
                await self._serve_order(connection, subject, OrderId(found["order"]), subscription)

    async def _serve_order(
        self, connection: LiveConnection, who: Subject, order_id: OrderId, subscription: Subscription
    ) -> None:
        if who.kind not in ("order", "user", "ops") or (who.kind == "order" and who.id != order_id):
            raise Forbidden("this token is not for this order")
        async with self._hub.visit(order_id) as order:
            if who.kind == "user" and who.id != order.watch.facts.user_id:
                raise NotFound(f"there is no order {order_id}")
            queue = SocketQueue(connection, order.watch.snapshot)
            connection.queue = queue
            _queue_first_frames(order, queue, subscription)
            order.queues.add(queue)
            try:
                with metrics.SOCKETS.labels("order").track_inprogress():
                    await _until_over(connection, queue)
            finally:
                order.queues.discard(queue)

    async def _serve_ops(self, connection: LiveConnection, who: Subject) -> None:
        if who.kind != "ops":
            raise Forbidden("this needs the token of an operator")
        queue = SocketQueue(connection, self._ops.hello)
        connection.queue = queue
        self._ops.join(queue)
        try:
            with metrics.SOCKETS.labels("ops").track_inprogress():
                await _until_over(connection, queue)
        finally:
            self._ops.leave(queue)

    @asynccontextmanager
    async def _seat(self, who: Subject) -> AsyncIterator[None]:
        key = f"{who.kind}:{who.id}"
        if self._open[key] >= self._max_per_token:
            raise TooManyRequests(5.0)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


def _subscription(connection: LiveConnection) -> Subscription:
    """Parse the address of a socket. Raises `Invalid`."""
    assert connection.request is not None
    parts = urlsplit(connection.request.path)
    query = parse_qs(parts.query)

    def number(name: str) -> int:
        text = query.get(name, ["0"])[0]
        if not _NUMBER.fullmatch(text):
            raise Invalid(name, "must be a whole number of at most 19 digits", reason="BAD_NUMBER")
        return int(text)

    return Subscription(parts.path, query.get("token", [""])[0], number("epoch"), number("seq"))


def _queue_first_frames(order: WatchedOrder, queue: SocketQueue, subscription: Subscription) -> None:
    """Snapshot, or what was missed since the point at which the watcher had been cut off."""
    missed = order.watch.resumed(subscription.epoch, subscription.seq)
    for frame in missed if missed is not None else [order.watch.snapshot()]:
        queue.event(frame)
    if order.watch.final:
        queue.end(order.watch.status)


async def _until_over(connection: LiveConnection, queue: SocketQueue) -> None:
    """Returns when the peer left, or when the order ended and the peer has been told."""
    reading = asyncio.create_task(_read(connection))
    over: set[asyncio.Future[Any]] = {reading, queue.ended}
    try:
        await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        if queue.ended.done() and not reading.done():
            await _close_with_reason(connection, queue.ended.result())
    finally:
        reading.cancel()


async def _close_with_reason(connection: LiveConnection, reason: str) -> None:
    try:
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await connection.close(1000, reason)
    except TimeoutError:
        connection.transport.abort()


async def _read(connection: LiveConnection) -> None:
    count = 0
    with suppress(ConnectionClosed):
        async for _ in connection:
            count += 1
            if count > MAX_MESSAGES:
                await connection.close(1008, "watchers have nothing to say")
