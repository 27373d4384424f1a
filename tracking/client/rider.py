"""A rider's app without a screen: one stream, kept up as long as the edge allows it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import grpc
import grpc.aio

from node.clock import Clock
from node.rpc import fault_of
from proto.tracking.v1 import rider_link_pb2 as pb
from tracking.client import bounds, wire
from tracking.client.errors import FlushTimeout, Stopped, TokenRefused
from tracking.client.journal import AckJournal
from tracking.client.link import Call, EdgeLink
from tracking.client.send_buffer import Reply, SendBuffer, Status
from tracking.client.values import (
    Connected,
    Disconnected,
    Event,
    Offer,
    OfferRetracted,
    Throttled,
)
from tracking.statuses import RiderStatus, Vehicle

APP_VERSION = "forno-sdk/1"
#: Wall seconds between two tries to connect: doubles from the first to the last, each shortened at random up to a half.
BACKOFF_S = (0.1, 3.0)
#: A Welcome is waited for so long, wall seconds.
WELCOME_S = 10.0
#: Older fixes are not sent: the edge refuses what is more than two hours old. Domain milliseconds.
MAX_AGE_MS = 119 * 60_000
#: The edge reads its clock between our Hello and its Welcome. A device's clock that agrees with that, give or take so
#: many wall milliseconds, is left as it is: it is better than a Welcome that was some time on its way.
CLOCK_SLACK_MS = 1_000
#: Offers remembered as told to the app.
MAX_KNOWN_OFFERS = 256

_FATAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
}


def _ignore(_: Event) -> None:
    """The listener of an app that does not listen."""


class RiderClient:
    """One rider. Methods never wait but `drain` and `close`; use it within one event loop.

    `on_event` is called for each offer (once), retraction, route, refusal, throttle, connect and disconnect; an
    exception it raises ends the client. When the edge will not have this rider (`Stopped`, `TokenRefused`), the client
    ends with that error, and so it does with what cannot be sent for a bug: see `failure`. `last_city` is the home
    until now, when the token names a new one: the rider is handed over before it may send, or `Stopped` with reason
    NOT_IDLE while it has something to do there.
    """

    def __init__(
        self,
        link: EdgeLink,
        token: str,
        clock: Clock,
        *,
        on_event: Callable[[Event], None] = _ignore,
        seed: int = 0,
        buffer: SendBuffer | None = None,
        last_city: str = "",
    ) -> None:
        self._link = link
        self._token = token
        self._clock = clock
        self._on_event = on_event
        self._random = random.Random(seed)
        self._buffer = buffer or SendBuffer()
        self._last_city = last_city
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._signal = asyncio.Event()
        self._signal.set()
        self._call: Call | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen: list[str] = []
        self._known: dict[str, None] = {}
        self._min_gap_s = 0.0
        self._next_fix_s = 0.0
        self._leaving_ms: int | None = None
        self._connected = False
        #: What the writer died of. Sending the same again would end the same way, so the client ends with it.
        self._broken: BaseException | None = None

    @property
    def journal(self) -> AckJournal:
        """Journal of what was acknowledged so far."""
        return self._buffer.journal

    @property
    def session(self) -> int:
        """The session, 0 before the first."""
        return self._buffer.session

    @property
    def connected(self) -> bool:
        """Whether a session is open."""
        return self._connected

    @property
    def unacked(self) -> int:
        """Fixes, replies and statuses that are not acknowledged yet."""
        return self._buffer.unacked

    @property
    def now_ms(self) -> int:
        """The city's time, domain milliseconds, by the last Welcome: to hold `expires_ms` and ETAs against."""
        return self._clock.domain_ms() + self._buffer.offset_ms

    @property
    def failure(self) -> BaseException | None:
        """Error that ended the client, if one did."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception()

    def start(self) -> None:
        """Begins to connect."""
        self._task = asyncio.create_task(self.run(), name="rider")
        self._task.add_done_callback(lambda _: self._changed.set())

    def fix(
        self,
        lat_e7: int,
        lng_e7: int,
        *,
        accuracy_dm: int = 50,
        heading_cdeg: int = 0,
        speed_cms: int = 0,
        ts_ms: int | None = None,
    ) -> None:
        """Sends a position, of now unless `ts_ms` (domain, by the device's clock) says otherwise.

        While throttled, some are dropped. Accuracy and speed that do not fit become the nearest that does, a heading is
        turned into the circle. Raises `ValueError` for a place that is not on earth or not in whole 1e-7 degrees.
        """
        at_ms = bounds.time_ms("ts_ms", self._clock.domain_ms() if ts_ms is None else ts_ms)
        sensed = bounds.u16(accuracy_dm), bounds.heading(heading_cdeg), bounds.u16(speed_cms)
        row = (at_ms, *bounds.place(lat_e7, lng_e7), *sensed)
        if self._min_gap_s:
            now_s = self._clock.monotonic_s()
            if now_s < self._next_fix_s:
                self.journal.thinned_fixes += 1
                return
            self._next_fix_s = now_s + self._min_gap_s
        self._buffer.fix(row)
        self._wake.set()

    def reply(self, offer_id: str, accepted: bool) -> None:
        """Answers an offer. Raises `SendBufferFull`."""
        self._buffer.event(Reply(offer_id, accepted, self._clock.domain_ms()))
        self._wake.set()

    def status(
        self,
        status: RiderStatus,
        *,
        order_id: str = "",
        shift_end_ms: int = 0,
        capacity: int = 0,
        vehicle: Vehicle = Vehicle.UNKNOWN,
        at: tuple[int, int] | None = None,
        ts_ms: int | None = None,
    ) -> None:
        """Tells a change of status; `at` is (lat_e7, lng_e7), with ONLINE.

        `ts_ms` (domain) is by the device's clock, now unless given; `shift_end_ms` by the city's.
        Raises `SendBufferFull`, or `ValueError` for what no message can hold.
        """
        self._buffer.event(
            Status(
                RiderStatus(status),
                bounds.time_ms("ts_ms", self._clock.domain_ms() if ts_ms is None else ts_ms),
                order_id,
                bounds.time_ms("shift_end_ms", shift_end_ms),
                bounds.whole("capacity", capacity, 0, bounds.MAX_U32),
                Vehicle(vehicle),
                bounds.place(*at) if at is not None else None,
            )
        )
        self._wake.set()

    def signal(self, up: bool) -> None:
        """Loses or regains the radio: without it nothing is sent, everything is kept. For simulations."""
        if up:
            self._signal.set()
            return
        self._signal.clear()
        if self._call is not None:
            self._call.cancel()

    async def drain(self, timeout_s: float) -> None:
        """Returns when everything is acknowledged or refused. Raises `FlushTimeout`, or why the client ended."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._buffer.empty:
                    if self.failure is not None:
                        raise self.failure
                    if self._task is not None and self._task.done():
                        raise FlushTimeout("the client was closed before everything was acknowledged")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise FlushTimeout(f"{self._buffer.unacked} messages are not acknowledged after {timeout_s} s") from None

    async def close(self) -> None:
        """Ends the stream. What is not acknowledged stays in the buffer. Never raises what `failure` tells."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def run(self) -> None:
        """Keeps a session open until cancelled; instead of `start` and `close` for whoever has a TaskGroup."""
        tries = 0
        while True:
            await self._signal.wait()
            before = self._buffer.journal.sessions
            reason = await self._one_session()
            if self._broken is not None:
                raise self._broken
            tries = 0 if self._buffer.journal.sessions > before else tries + 1
            self._on_event(Disconnected(reason))
            if self._leaving_ms is not None:
                await asyncio.sleep(self._leaving_ms / 1000)
                self._leaving_ms = None
            else:
                longest_s = min(BACKOFF_S[0] * 2.0 ** min(tries, 10), BACKOFF_S[1])
                await asyncio.sleep(longest_s * self._random.uniform(0.5, 1.0))

    async def _one_session(self) -> str:
        """One stream from Hello to its end; returns why it ended. Raises `Stopped` or `TokenRefused`."""
        call = self._call = self._link.connect(self._token)
        writer: asyncio.Task[None] | None = None
        try:
            await self._open(call)
            writer = asyncio.create_task(self._write(call), name="rider's writer")
            writer.add_done_callback(lambda done: self._written(call, done))
            while isinstance(response := await call.read(), pb.ConnectResponse):  # else grpc.aio.EOF
                self._heard(response)
        except grpc.aio.AioRpcError as error:
            return _reason(error)
        except TimeoutError:
            return "no Welcome in time"
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return "no signal"  # `signal` or `_written` cancelled the call, not this task
        finally:
            self._connected = False
            self._call = None
            call.cancel()
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer])
            self._buffer.disconnected()
        return "the edge asked to connect again"

    async def _open(self, call: Call) -> None:
        said_ms = self.now_ms
        async with asyncio.timeout(WELCOME_S):
            with suppress(asyncio.InvalidStateError):  # the call is over already: reading tells why
                now_ms, last = self._clock.domain_ms(), self._buffer.session
                await call.write(wire.hello(now_ms, last, APP_VERSION, self._last_city))
            response: Any = await call.read()
        if response is grpc.aio.EOF:
            return
        welcome: pb.Welcome = response.welcome
        self._set_clock(said_ms, welcome.server_ms)
        self._buffer.opened(welcome.session)
        self._connected = True
        self._last_city = ""
        self._min_gap_s = 0.0
        self._on_event(Connected(welcome.session))
        for offer in welcome.offers:
            self._offered(wire.offer(offer))
        if welcome.HasField("route"):
            self._on_event(wire.route(welcome.route))

    def _set_clock(self, said_ms: int, server_ms: int) -> None:
        early, read, late = map(self._clock.wall_of_domain_ms, (said_ms, server_ms, self.now_ms))
        if not early - CLOCK_SLACK_MS <= read <= late + CLOCK_SLACK_MS:
            self._buffer.offset_ms = server_ms - self._clock.domain_ms()

    def _heard(self, response: pb.ConnectResponse) -> None:
        kind = response.WhichOneof("kind")
        if kind == "ack":
            self._buffer.ack(response.ack.seq)
            self._wake.set()
            self._changed.set()
            return
        if kind == "reconnect":
            self._leaving_ms = response.reconnect.after_ms
            return
        event = wire.event(response, self._buffer.session)
        if isinstance(event, Offer):
            self._offered(event)
            return
        if kind == "refused":
            self._buffer.refused(response.refused.seq)
            self._changed.set()
        elif isinstance(event, Throttled):
            self._min_gap_s = 1 / event.max_fixes_per_s if event.max_fixes_per_s > 0 else 0.0
        elif isinstance(event, OfferRetracted):
            self._known.pop(event.offer_id, None)
        if event is not None:
            self._on_event(event)

    def _offered(self, offer: Offer) -> None:
        if offer.offer_id not in self._seen:
            self._seen.append(offer.offer_id)
        self._wake.set()
        if offer.offer_id not in self._known:
            self._known[offer.offer_id] = None
            if len(self._known) > MAX_KNOWN_OFFERS:
                del self._known[next(iter(self._known))]
            self._on_event(offer)

    async def _write(self, call: Call) -> None:
        try:
            while True:
                message = self._next()
                if message is None:
                    self._wake.clear()
                    await self._wake.wait()
                else:
                    await call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the call is over; its reader says why

    def _written(self, call: Call, writer: asyncio.Task[None]) -> None:
        """A writer that broke ends the stream: its reader would never notice."""
        if not writer.cancelled() and (error := writer.exception()):
            self._broken = error
            call.cancel()

    def _next(self) -> pb.ConnectRequest | None:
        if self._leaving_ms is not None:
            return None
        if self._seen:
            return wire.seen(self._seen.pop())
        self._buffer.drop_older(self.now_ms - MAX_AGE_MS)
        message = self._buffer.next_message()
        return wire.request(message) if message is not None else None


def _reason(error: grpc.aio.AioRpcError) -> str:
    """The reason of a failed call. Raises when connecting again is of no use."""
    fault = fault_of(error)
    if fault.code is grpc.StatusCode.UNAUTHENTICATED:
        raise TokenRefused(fault.message, reason=fault.reason) from error
    if fault.code in _FATAL:
        raise Stopped(fault.message, reason=fault.reason, details={"field": fault.field}) from error
    return fault.reason
