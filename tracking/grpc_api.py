"""`tracking.v1.RiderLink`: translates between the wire and the edge. One reader and one writer a stream.

Messages are parsed here and not by gRPC, so that one that is no protobuf is refused like any other bad one and the
stream goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from operator import attrgetter
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from node import rpc
from node.errors import FornoError
from node.tokens import TokenVerifier
from proto.columns import PING_BATCH
from proto.fix_columns import MAX_PING_BATCH
from proto.tracking.v1 import rider_link_pb2 as pb
from tracking import metrics
from tracking.engine.down_queue import Acked, Down, GoAway, Retracted, Throttled
from tracking.engine.edge import Edge
from tracking.engine.event_checks import check_reply, check_status
from tracking.engine.session import RiderSession
from tracking.errors import BadHello, NotARider
from tracking.model import Offer, RawBatch, Refusal, RiderId, RiderReplied, RiderStatusChanged, Route, Tasks

SERVICE = "tracking.v1.RiderLink"

#: A stream that says nothing for so long is ended, wall seconds.
HELLO_S = 10.0

# Lengths of the columns of a batch, by number of fixes: one comparison checks all of a message's columns.
_COLUMNS_OF = attrgetter(*PING_BATCH)
_WIDTHS = tuple(kind.itemsize for kind in PING_BATCH.values())
_LENGTHS = [tuple(n * width for width in _WIDTHS) for n in range(MAX_PING_BATCH + 1)]

Context = grpc.aio.ServicerContext[bytes, bytes]


class RiderLinkApi:
    """Serves riders' streams."""

    def __init__(self, edge: Edge, tokens: TokenVerifier, log: structlog.stdlib.BoundLogger) -> None:
        self._edge = edge
        self._tokens = tokens
        self._log = log

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers the service; messages pass as bytes."""
        handlers: dict[str, Any] = {"Connect": grpc.stream_stream_rpc_method_handler(self.connect)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    async def connect(self, _: AsyncIterator[bytes], context: Context) -> None:
        """One rider's stream, from Hello to its end."""
        try:
            session = await self._hello(context)
        except FornoError as error:
            metrics.STREAMS_REFUSED.labels(error.reason).inc()
            await rpc.abort(context, error)
        try:
            tasks = await self._edge.task_sync.welcome(session)
            await context.write(_welcome(session, tasks, self._edge.clock.domain_ms()))
            reader = asyncio.create_task(self._read(session, context), name="rider's reader")
            reader.add_done_callback(lambda done: self._reader_ended(session, done))
            try:
                reason = await self._write(session, context)
            finally:
                reader.cancel()
                await asyncio.wait([reader])
        finally:
            self._edge.close(session)
        if reason is not None:
            await rpc.abort(context, reason)

    async def _hello(self, context: Context) -> RiderSession:
        """Opens the session. Raises a `FornoError` for whoever is not to have one."""
        # The first message is read before anything is judged: a client whose first write meets a stream that was
        # refused already may see INTERNAL in the place of the reason.
        first = await self._first(context)
        metadata = dict(context.invocation_metadata() or ())
        header = metadata.get("authorization")
        subject = self._tokens.verify_bearer(header if isinstance(header, str) else None)
        if subject.kind != "rider" or not subject.id.isdecimal() or not 0 < int(subject.id) < 1 << 64:
            raise NotARider("this is not a rider's token")
        try:
            request = pb.ConnectRequest.FromString(first)
        except DecodeError:
            raise BadHello("hello", "the first message must be a Hello") from None
        if request.WhichOneof("kind") != "hello":
            raise BadHello("hello", "the first message must be a Hello")
        hello = request.hello
        city = str(subject.claims.get("city", ""))
        if hello.last_city and hello.last_city != city:
            await self._edge.rehoming.move(RiderId(int(subject.id)), hello.last_city, city, hello.last_session)
        return self._edge.open(RiderId(int(subject.id)), city, hello.device_ms, hello.last_session)

    async def _first(self, context: Context) -> bytes:
        """The first message; empty when the client says nothing in time, or hangs up."""
        try:
            async with asyncio.timeout(HELLO_S):
                raw: Any = await context.read()
        except TimeoutError:
            return b""
        return raw if isinstance(raw, bytes) else b""

    async def _read(self, session: RiderSession, context: Context) -> None:
        edge = self._edge
        try:
            while True:
                raw: Any = await context.read()
                if raw is grpc.aio.EOF:
                    break
                if session.reading:
                    self._take(session, raw)
                if edge.crowded(session):
                    await edge.room(session)
        except grpc.RpcError:  # the rider is gone: the writer is cancelled by gRPC
            self._log.debug("a rider left", rider_id=session.rider_id)
        edge.finish(session)

    def _reader_ended(self, session: RiderSession, reader: asyncio.Task[None]) -> None:
        """A reader that broke ends its stream, not the edge: the app connects again."""
        if not reader.cancelled() and (error := reader.exception()):
            self._log.error("a rider's reader broke", rider_id=session.rider_id, exc_info=error)
            session.down_queue.close(FornoError("something went wrong here: connect again"))

    async def _write(self, session: RiderSession, context: Context) -> FornoError | None:
        """Sends what is in the down queue until that is closed; returns the error that closed it."""
        down_queue = session.down_queue
        while True:
            await down_queue.wait()
            for message in down_queue.take():
                await context.write(_response(message))
            if down_queue.end is not None and not down_queue.pending:
                return down_queue.end[0]

    def _take(self, session: RiderSession, raw: bytes) -> None:
        try:
            request = pb.ConnectRequest.FromString(raw)
        except DecodeError:
            self._edge.refuse(session, Refusal(0, "", "bad_message", "not a tracking.v1.ConnectRequest"))
            return
        kind = request.WhichOneof("kind")
        if kind == "pings":
            self._take_pings(session, request.pings)
        elif kind == "seen":
            session.offers.seen(request.seen.offer_id)
        elif kind == "reply":
            reply = request.reply
            body = RiderReplied(reply.offer_id, reply.accepted, reply.ts_ms)
            refusal = check_reply(reply.seq, body, self._edge.clock.domain_ms(), self._edge.limits)
            self._take_event(session, reply.seq, body, refusal)
        elif kind == "status":
            status = _status(request.status)
            seq = request.status.seq
            refusal = check_status(seq, status, self._edge.clock.domain_ms(), self._edge.limits)
            self._take_event(session, seq, status, refusal)
        else:
            self._edge.refuse(session, Refusal(0, kind or "", "bad_message", "neither pings, reply, status nor seen"))

    def _take_pings(self, session: RiderSession, pings: pb.PingBatch) -> None:
        batch: RawBatch = _COLUMNS_OF(pings)
        seq = batch[0]
        n = len(seq) // _WIDTHS[0]
        if 0 < n <= MAX_PING_BATCH and tuple(map(len, batch)) == _LENGTHS[n]:
            first, last = int.from_bytes(seq[:8], "little"), int.from_bytes(seq[-8:], "little")
            self._edge.fixes(session, batch, n, first, last)
        else:
            self._edge.refuse(session, _wrong_form(pings))

    def _take_event(
        self, session: RiderSession, seq: int, body: RiderReplied | RiderStatusChanged, refusal: Refusal | None
    ) -> None:
        if refusal is None:
            self._edge.event(session, seq, body)
        else:
            self._edge.refuse(session, refusal)


def _wrong_form(pings: pb.PingBatch) -> Refusal:
    n = len(pings.seq) // _WIDTHS[0]
    seq = int.from_bytes(pings.seq[:8], "little") if n else 0
    if not 0 < n <= MAX_PING_BATCH:
        return Refusal(seq, "pings.seq", "batch_size", f"a batch has 1 to {MAX_PING_BATCH} fixes, not {n}")
    name = next(name for name, kind in PING_BATCH.items() if len(getattr(pings, name)) != n * kind.itemsize)
    return Refusal(seq, f"pings.{name}", "column_length", f"columns must hold {n} values each")


def _status(status: pb.StatusUpdate) -> RiderStatusChanged:
    at = (status.at.lat_e7, status.at.lng_e7) if status.HasField("at") else None
    return RiderStatusChanged(
        status.status,
        status.order_id,
        status.ts_ms,
        status.shift_end_ms,
        status.capacity,
        status.vehicle,
        at,
    )


def _welcome(session: RiderSession, tasks: Tasks, domain_ms: int) -> bytes:
    welcome = pb.Welcome(session=session.session, server_ms=domain_ms)
    welcome.offers.extend(pb.Offer.FromString(offer.body) for offer in tasks.offers)
    if tasks.route is not None:
        welcome.route.ParseFromString(tasks.route.body)
    return pb.ConnectResponse(welcome=welcome).SerializeToString()


def _response(message: Down) -> bytes:
    return _message(message).SerializeToString()


def _message(message: Down) -> pb.ConnectResponse:
    match message:
        case Acked():
            return pb.ConnectResponse(ack=pb.Ack(seq=message.seq))
        case Offer():
            return pb.ConnectResponse(offer=pb.Offer.FromString(message.body))
        case Retracted():
            return pb.ConnectResponse(retracted=pb.OfferRetracted(offer_id=message.offer_id, reason=message.reason))
        case Route():
            return pb.ConnectResponse(route=pb.Route.FromString(message.body))
        case Throttled():
            return pb.ConnectResponse(throttle=pb.Throttle(max_fixes_per_s=message.max_fixes_per_s))
        case GoAway():
            return pb.ConnectResponse(reconnect=pb.Reconnect(after_ms=message.after_ms))
        case Refusal():
            return pb.ConnectResponse(
                refused=pb.Refused(seq=message.seq, field=message.field, reason=message.reason, message=message.message)
            )
