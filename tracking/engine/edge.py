"""The edge: holds the riders' sessions, appends what they send to the logs, acknowledges it. Called by `grpc_api` only.

fixes -> PingPacker --(linger or PACK_AT fixes)--> pack -> FixWriter of each city -> settled -> Ack
event --------------------------------------------------> EventWriter of the city -> settled -> Ack
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

import structlog

from node.clock import Clock
from proto.fix_columns import FixColumns
from tracking import metrics
from tracking.engine.limits import Limits
from tracking.engine.log_writers import EventWriter, FixWriter
from tracking.engine.ping_packer import Held, PingPacker
from tracking.engine.rehome import Rehoming
from tracking.engine.session import RiderSession, next_session
from tracking.engine.stream_table import StreamTable
from tracking.engine.task_sync import TaskSync
from tracking.errors import BadHello, Closing, Superseded
from tracking.model import RawBatch, Refusal, RiderEvent, RiderId, RiderReplied, RiderStatusChanged
from tracking.ports import EdgePorts

#: So many fixes are packed at once without waiting for the linger.
PACK_AT = 4_096
#: A write costs two to four times a read, so fixes of a stream are acknowledged at once, but not more often than this,
#: wall seconds: the first with few streams, more with many, so that all acks together are `ACKS_PER_S`.
ACK_EVERY_S = (0.1, 3.0)
ACKS_PER_S = 700.0
#: But a stream that sends what it gathered offline hears at once of so many fixes: its window must not stand still.
ACK_AT = 500
#: How often the edge looks whether durability is late, wall seconds.
PRESSURE_S = 0.5
#: Reconnects after a drain are spread over so many wall milliseconds.
DRAIN_SPREAD_MS = 1_000

_packed_age_ms = metrics.FIX_AGE_MS.labels("packed").observe
_durable_age_ms = metrics.FIX_AGE_MS.labels("durable").observe


class Edge:
    """All streams of one process."""

    def __init__(
        self,
        ports: EdgePorts,
        clock: Clock,
        limits: Limits,
        log: structlog.stdlib.BoundLogger,
        *,
        linger_ms: float,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.task_sync = TaskSync(ports.offers, clock, self._fail, log)
        self.rehoming = Rehoming(ports.partitions, ports.events, ports.offers, clock)
        self.sessions: dict[RiderId, RiderSession] = {}
        self._ports = ports
        self._log = log
        self._linger_s = linger_ms / 1000
        self._table = StreamTable()
        self._packer = PingPacker(self._table, limits)
        self._timer: asyncio.TimerHandle | None = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._late_acks: dict[RiderSession, None] = {}
        self._fix_writers: dict[str, FixWriter] = {}
        self._event_writers: dict[str, EventWriter] = {}
        self._progress = asyncio.Event()
        #: Fixes that were received and are not durable yet.
        self.waiting_fixes = 0
        self._leaving: list[int] = []
        self._throttled: set[str] = set()
        self._closing = False
        self._failed = asyncio.Event()
        self._failure: BaseException | None = None

    def open(self, rider_id: RiderId, city: str, device_ms: int, last_session: int) -> RiderSession:
        """A new session of a rider; an older stream of the same rider ends as `Superseded`.

        Raises `Closing`, `BadHello`, or `node.errors.Invalid` for an unknown city.
        """
        if self._closing:
            raise Closing("this edge is going away: connect again")
        partition = self._ports.partitions.partition(city)
        error_ms = device_ms - self.clock.domain_ms()
        if abs(error_ms) > self.limits.domain_clock_error_ms:
            raise BadHello("hello.device_ms", f"the device's clock is off by {error_ms / 1000:.1f} s: set it")
        older = self.sessions.get(rider_id)
        issued = next_session(self.clock.wall_ms(), max(last_session, older.session if older else 0))
        if older is not None:
            older.down_queue.close(Superseded(f"session {issued} of rider {rider_id} is newer"))
            self.close(older)
        self._open_writers(city, partition)
        row = self._table.add(rider_id, issued, self._packer.city_number(city))
        session = RiderSession(rider_id, issued, city, row)
        self.sessions[rider_id] = session
        if city in self._throttled:
            session.down_queue.throttle(self.limits.late_fixes_per_s)
        metrics.SESSIONS.inc()
        metrics.STREAMS.set(len(self.sessions))
        return session

    def close(self, session: RiderSession) -> None:
        """The stream is over. What it sent goes on to the log; nobody is left to hear of it."""
        if self.sessions.get(session.rider_id) is session:
            del self.sessions[session.rider_id]
            metrics.STREAMS.set(len(self.sessions))
        if session.open:
            session.open = session.reading = False  # its row is given away: nothing more may come in under it
            self._late_acks.pop(session, None)
            self.task_sync.leave(session)
            self._leaving.append(session.row)
            if not self._packer.fixes:
                self._free_rows()

    def fixes(self, session: RiderSession, batch: RawBatch, n: int, first_seq: int, last_seq: int) -> None:
        """Takes a batch of n fixes whose columns are of the right length."""
        if first_seq <= session.received or last_seq < first_seq:
            field = "pings.seq[0]"
            self.refuse(session, Refusal(first_seq, field, "seq_not_growing", f"{field}: must be > {session.received}"))
            return
        session.received = last_seq
        self.waiting_fixes += n
        self._packer.add(session, batch, n, last_seq)
        if self._packer.fixes >= PACK_AT:
            self._pack()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._lingered)

    def event(self, session: RiderSession, seq: int, body: RiderReplied | RiderStatusChanged) -> None:
        """Takes a reply or a status that was checked."""
        if seq <= session.received:
            kind = "reply" if isinstance(body, RiderReplied) else "status"
            self.refuse(session, Refusal(seq, f"{kind}.seq", "seq_not_growing", f"must be > {session.received}"))
            return
        session.received = seq
        if isinstance(body, RiderReplied):
            session.offers.answered(body.offer_id)
        event = RiderEvent(session.city, session.rider_id, session.session, seq, body)
        self._event_writers[session.city].put(event, session, session.ledger.take(seq, 0))

    def refuse(self, session: RiderSession, refusal: Refusal) -> None:
        """Tells the rider that a message was refused."""
        metrics.REFUSED.labels(refusal.reason).inc()
        session.down_queue.refuse(refusal)

    def crowded(self, session: RiderSession) -> bool:
        """Whether the stream must not be read until `room`."""
        return (
            session.ledger.unacked_fixes >= self.limits.max_unacked_fixes
            or session.down_queue.full
            or self.waiting_fixes >= self.limits.max_waiting_fixes
            or self._fix_writers[session.city].waiting >= self.limits.max_city_fixes
            or self._event_writers[session.city].waiting >= self.limits.max_waiting_events
        )

    async def room(self, session: RiderSession) -> None:
        """Returns when the stream may be read on."""
        metrics.HELD_BACK.inc()
        while session.open and self.crowded(session):
            await (session.down_queue.room() if session.down_queue.full else self._progress.wait())

    def finish(self, session: RiderSession) -> None:
        """The rider sends no more: the stream ends when all that was sent is acknowledged."""
        session.reading = False
        if session.ledger.empty:
            self._ack(session, self.clock.monotonic_s())

    async def run(self) -> None:
        """Tells a city's riders to send less while its log is late, until cancelled. Raises what broke behind them."""
        while not self._failed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._failed.wait(), PRESSURE_S)
            self._press()
        assert self._failure is not None
        raise self._failure

    async def drain(self, deadline_s: float) -> None:
        """Takes no more; makes all that was taken durable and acknowledged; asks the riders to connect again.

        Returns when that is done or the deadline has passed.
        """
        self._closing = True
        for session in self.sessions.values():
            session.down_queue.go_away(session.rider_id * 7919 % DRAIN_SPREAD_MS)
            session.reading = False
        try:
            async with asyncio.timeout(deadline_s):
                self._pack()
                for writer in self._writers():
                    await writer.idle()
        except TimeoutError:
            self._log.warning("drained too slowly; the rest was not acknowledged", fixes=self.waiting_fixes)
        for session in self.sessions.values():
            self._ack(session, self.clock.monotonic_s())
            session.down_queue.close()

    def stop(self) -> None:
        """Ends all work."""
        for timer in (self._timer, self._ack_timer):
            if timer is not None:
                timer.cancel()
        self.task_sync.close()
        for writer in self._writers():
            writer.close()

    def _lingered(self) -> None:
        try:
            self._pack()
        except Exception as error:
            self._fail(error)
            raise

    def _pack(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        packed = self._packer.pack(self.clock.domain_ms())
        for session, refusal in packed.refused:
            self.refuse(session, refusal)
        for city_batch in packed.city_batches:
            self._fix_writers[city_batch.city].put(city_batch)
            _packed_age_ms(self._age_ms(city_batch.fixes))
        self._settle(packed.settled)
        metrics.FIXES_RECEIVED.inc(packed.fixes)
        metrics.FIXES_JUMPED.inc(packed.jumps)
        self.waiting_fixes -= packed.fixes_refused
        self._free_rows()

    def _free_rows(self) -> None:
        for row in self._leaving:
            self._table.free(row)
        self._leaving.clear()

    def _age_ms(self, fixes: FixColumns) -> float:
        """Time since the rider sent one of them, wall milliseconds."""
        return self.clock.wall_ms() - self.clock.wall_of_domain_ms(int(fixes.ts_ms[-1]))

    def _fixes_settled(self, held: Sequence[Held], fixes: FixColumns) -> None:
        self.waiting_fixes -= len(fixes)
        _durable_age_ms(self._age_ms(fixes))
        self._settle(held)

    def _events_settled(self, held: Sequence[Held]) -> None:
        for session, _ in held:
            session.next_ack_s = 0.0  # somebody waits for this one
        self._settle(held)

    def _settle(self, held: Sequence[Held]) -> None:
        now_s = self.clock.monotonic_s()
        for session, ticket in held:
            if session.ledger.settle(ticket):
                many = session.ledger.acked - session.acked >= ACK_AT
                if many or now_s >= session.next_ack_s or not session.reading:
                    self._ack(session, now_s)
                else:
                    self._late_acks[session] = None
        if self._late_acks and self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_later(self._ack_every_s() / 4, self._send_late_acks)
        self._progress.set()
        self._progress.clear()

    def _ack_every_s(self) -> float:
        return min(max(ACK_EVERY_S[0], len(self.sessions) / ACKS_PER_S), ACK_EVERY_S[1])

    def _ack(self, session: RiderSession, now_s: float) -> None:
        session.next_ack_s = now_s + self._ack_every_s()
        self._late_acks.pop(session, None)
        session.acked = session.ledger.acked
        session.down_queue.ack(session.acked)
        if not session.reading and session.ledger.empty and not self._closing:
            session.down_queue.close()

    def _send_late_acks(self) -> None:
        now_s = self.clock.monotonic_s()
        for session in [late for late in self._late_acks if now_s >= late.next_ack_s]:
            self._ack(session, now_s)
        self._ack_timer = None
        if self._late_acks:
            self._ack_timer = asyncio.get_running_loop().call_later(self._ack_every_s() / 4, self._send_late_acks)

    def _open_writers(self, city: str, partition: int) -> None:
        if city not in self._fix_writers:
            self._fix_writers[city] = FixWriter(
                city, partition, self._ports.fixes, self.clock, self._fixes_settled, self._fail, self._log
            )
            self._event_writers[city] = EventWriter(
                partition, self._ports.events, self._events_settled, self._fail, self._log
            )

    def _writers(self) -> Iterator[FixWriter | EventWriter]:
        yield from self._fix_writers.values()
        yield from self._event_writers.values()

    def _fail(self, error: BaseException) -> None:
        """A part behind the streams broke: `run` raises it, and with it the process ends."""
        self._failure = self._failure or error
        self._failed.set()

    def _press(self) -> None:
        """Throttles a city's streams when its oldest fix waits too long, and lifts it when it waits a third of that."""
        now_s, bound_ms = self.clock.monotonic_s(), self.limits.late_ms
        for city, writer in self._fix_writers.items():
            waits_ms = writer.oldest_ms(now_s)
            late = waits_ms > (bound_ms / 3 if city in self._throttled else bound_ms)
            if late != (city in self._throttled):
                self._throttled ^= {city}
                self._log.warning(
                    "throttling riders" if late else "throttling no more", city=city, oldest_ms=int(waits_ms)
                )
                for session in self.sessions.values():
                    if session.city == city:
                        session.down_queue.throttle(self.limits.late_fixes_per_s if late else 0.0)
