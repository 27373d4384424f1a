"""Whatever befalls riders, edges, the log and shards: live positions and trails end the same. A state machine.

    outbox ──> edge (inbox, pack, ledger) ──> log ──> shard: positions, rebuilt from a rewind at every restart
    (client)   two of them, killed at will    │  └──> trails: flushed, killed before the cut is stored, read again
                                              └ batches twice, late, out of order; acks that get lost
The parts are the real ones, in one thread: what is random is who acts next.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dispatch.logs.cut import Cut
from dispatch.positions import RiderPositions
from dispatch.trails.adapters.memory import MemoryTrails
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes, encode_fixes
from tracking.client import wire
from tracking.client.send_buffer import Batch, SendBuffer
from tracking.engine.limits import Limits
from tracking.engine.ping_packer import CityBatch, Held, PingPacker
from tracking.engine.session import RiderSession, next_session
from tracking.engine.stream_table import StreamTable
from tracking.model import RiderId

CITY = "la-serena"
NOON_MS = 1_760_000_000_000
LAT_E7, LNG_E7 = -299_027_000, -712_520_000
RIDERS = 3
#: A new owner begins so many messages before the stored cut.
REWIND = 1
T = TypeVar("T")
_WHICH = st.integers(0, 7)
_RIDER = st.integers(0, RIDERS - 1)
_EDGE = st.integers(0, 1)


def done(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waited")


@dataclass(slots=True)
class EdgeProcess:
    """State that dies with an edge: sessions, what waits to be packed, and what is on its way to the log."""

    table: StreamTable = field(default_factory=StreamTable)
    inbox: PingPacker = field(init=False)
    sending: list[CityBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = PingPacker(self.table, Limits())


@dataclass(slots=True)
class App:
    """A rider's app: `made` are its fixes, by time; `stream` is the edge's end, while there is one."""

    number: int
    buffer: SendBuffer = field(default_factory=lambda: SendBuffer(max_fixes=10_000))
    edge: EdgeProcess | None = None
    stream: RiderSession | None = None
    made: list[int] = field(default_factory=list)

    @property
    def rider_id(self) -> int:
        return (1 << 63) + self.number


class Motion(RuleBasedStateMachine):
    """The world of three riders."""

    positions: RiderPositions
    #: The owner has read the log from here to there; a new one begins at a rewind before the stored cut.
    first: int
    applied: int
    cut: int

    @initialize()
    def begin(self) -> None:
        """Everybody is connected and has ridden for some seconds; the shard knows, and its ticks have stored it."""
        self.now_ms = NOON_MS
        self.apps = [App(n) for n in range(RIDERS)]
        self.edges = [EdgeProcess(), EdgeProcess()]
        self.log: list[FixColumns] = []
        #: Parcels of dead edges that the broker has not written yet; it still may.
        self.late: list[CityBatch] = []
        self.trails = MemoryTrails()
        self.cut = 0
        self.restart_shard()
        for n in range(RIDERS):
            self.ride(n, 5)
            self.connect(n, n % 2)
        for second in range(2 * REWIND + 2):
            self.a_second({0, 1, 2}, 1, second % 2, False)

    # Riders

    @rule(rider=_RIDER, count=st.integers(1, 130))
    def ride(self, rider: int, count: int) -> None:
        """Fixes are made, connected or not: an offline burst if not."""
        app = self.apps[rider]
        for _ in range(count):
            self.now_ms += 10
            app.buffer.fix((self.now_ms, *place(self.now_ms), 50, 0, 0))
            app.made.append(self.now_ms)

    @rule(rider=_RIDER, edge=_EDGE)
    def connect(self, rider: int, edge: int) -> None:
        """A new session on some edge; the old stream is dead to the app, while its edge may not know yet."""
        app = self.apps[rider]
        app.buffer.disconnected()
        app.edge = self.edges[edge]
        session = next_session(self.now_ms, app.buffer.session)
        row = app.edge.table.add(app.rider_id, session, app.edge.inbox.city_number(CITY))
        app.stream = RiderSession(RiderId(app.rider_id), session, CITY, row)
        app.buffer.opened(session)

    @rule(rider=_RIDER)
    def lose_signal(self, rider: int) -> None:
        """Offline."""
        app = self.apps[rider]
        app.buffer.disconnected()
        app.edge = app.stream = None

    @rule(riders=st.sets(_RIDER, min_size=1), count=st.integers(1, 30), edge=_EDGE, twice=st.booleans())
    def a_second(self, riders: set[int], count: int, edge: int, twice: bool) -> None:
        """Do what happens most of the time: some ride and send, an edge packs, a parcel gets to the shard."""
        for rider in riders:
            self.ride(rider, count)
            self.send(rider, 2)
        self.pack(edge)
        self.append(edge, 0, twice)
        self.read(1, True)

    @rule(rider=_RIDER, messages=st.integers(1, 4))
    def send(self, rider: int, messages: int) -> None:
        """The app sends what its window allows."""
        app = self.apps[rider]
        if app.stream is None or app.edge is None:
            return
        for _ in range(messages):
            message = app.buffer.next_message()
            if isinstance(message, Batch):
                pings = wire.ping_batch(message.first_seq, message.fixes)
                raw = (pings.seq, pings.ts_ms, pings.lat_e7, pings.lng_e7)
                rest = (pings.accuracy_dm, pings.heading_cdeg, pings.speed_cms)
                app.edge.inbox.add(app.stream, (*raw, *rest), len(message.fixes), message.last_seq)

    @rule(rider=_RIDER)
    def hear_ack(self, rider: int) -> None:
        """The newest ack of the stream arrives. (That it does not is that this rule is not chosen.)"""
        app = self.apps[rider]
        if app.stream is not None:
            app.buffer.ack(app.stream.ledger.acked)

    # Edges and the log

    @rule(edge=_EDGE)
    def pack(self, edge: int) -> None:
        """Send what waits on its way to the log."""
        process = self.edges[edge]
        packed = process.inbox.pack(self.now_ms)
        assert not packed.refused
        process.sending += packed.city_batches
        settle(packed.settled)

    @precondition(lambda self: any(edge.sending for edge in self.edges))
    @rule(edge=_EDGE, which=_WHICH, twice=st.booleans())
    def append(self, edge: int, which: int, twice: bool) -> None:
        """Some parcel becomes durable, not always the oldest, and sometimes twice: a producer that sent again."""
        process = self.edges[edge]
        if process.sending:
            city_batch = process.sending.pop(which % len(process.sending))
            self.land(city_batch)
            if twice:
                self.land(city_batch)
            settle(city_batch.held)

    @precondition(lambda self: len(self.log) > 1)
    @rule(edge=_EDGE)
    def kill_edge(self, edge: int) -> None:
        """Lose what an edge had not packed; what was on its way may still come to the log, much later."""
        self.late += self.edges[edge].sending
        for app in self.apps:
            if app.edge is self.edges[edge]:
                self.lose_signal(app.number)
        self.edges[edge] = EdgeProcess()

    @precondition(lambda self: self.late)
    @rule(which=_WHICH, lands=st.booleans())
    def late_arrival(self, which: int, lands: bool) -> None:
        """The broker writes what a dead edge had sent, or never does."""
        if self.late:
            city_batch = self.late.pop(which % len(self.late))
            if lands:
                self.land(city_batch)

    def land(self, city_batch: CityBatch) -> None:
        """A message of the log, over the wire and back."""
        value = encode_fixes(CITY, city_batch.fixes, "edge", self.now_ms)
        message = decode_fixes(value, CITY)
        assert message is not None, "a message that the shard does not understand"
        self.log.append(message[0])

    # The shard

    @precondition(lambda self: self.applied < len(self.log))
    @rule(messages=st.integers(1, 10), ticks=st.booleans())
    def read(self, messages: int, ticks: bool) -> None:
        """The shard applies what is next, several messages as one batch; a tick stores how far that is."""
        batch = self.read_log(self.applied, messages)
        if batch is not None:
            self.positions.apply(batch)
        self.applied = min(len(self.log), self.applied + messages)
        if ticks:
            self.cut = max(self.cut, self.applied)

    @precondition(lambda self: self.applied > 1)
    @rule()
    def restart_shard(self) -> None:
        """A new owner: it knows nobody, and goes back from the stored cut by a rewind."""
        self.positions = RiderPositions()
        self.first = self.applied = max(0, self.cut - REWIND)

    @precondition(lambda self: self.log)
    @rule(messages=st.integers(1, 10), dies=st.booleans())
    def keep_trails(self, messages: int, dies: bool) -> None:
        """Trails are written from where they went; a keeper that dies before it stores how far begins there again."""
        at = done(self.trails.position(CITY))
        begin = at.pings_offset if at is not None else 0
        batch = self.read_log(begin, messages)
        if batch is None:
            return
        done(self.trails.write(CITY, 1, batch))
        if not dies:
            done(self.trails.advance(CITY, 1, Cut("log", 0, min(len(self.log), begin + messages), 0)))

    def read_log(self, begin: int, messages: int) -> FixColumns | None:
        """Messages of the log as one batch."""
        part = self.log[begin : begin + messages]
        return FixColumns.concat(part) if part else None

    # What must hold

    @invariant()
    def acked_is_in_the_log(self) -> None:
        """At any moment."""
        logged = self.logged()
        for app in self.apps:
            assert {(app.rider_id, s, q) for s, q in app.buffer.journal.acked_fixes} <= logged.keys()

    @invariant()
    def positions_are_the_newest_that_was_read(self) -> None:
        """At any moment, whatever order it came in: the greatest (session, seq) of each rider; nobody else is known."""
        read = self.read_log(self.first, self.applied - self.first)
        everybody = np.array([app.rider_id for app in self.apps], np.uint64)
        _, _, known = self.positions.positions_of(everybody, self.now_ms)
        assert np.array_equal(known, np.isin(everybody, read.rider_id if read is not None else []))
        if read is None:
            return
        order = np.lexsort((read.seq, read.session, read.rider_id))
        last = order[np.flatnonzero(np.diff(read.rider_id[order], append=0))]
        shown, _, known = self.positions.positions_of(read.rider_id[last], self.now_ms)
        assert known.all()
        assert np.array_equal(shown.session, read.session[last])
        assert np.array_equal(shown.seq, read.seq[last])

    def teardown(self) -> None:
        """Everybody drains, everything is read: then positions and trails are what they should be, and no more."""
        if not hasattr(self, "apps"):
            return
        self.drain()
        while self.late:
            self.late_arrival(0, True)
        while (at := done(self.trails.position(CITY))) is None or at.pings_offset < len(self.log):
            if not self.log:
                return
            self.keep_trails(4, False)
        self.read_on()
        self.check()
        for app in self.apps:
            self.ride(app.number, 1)
        self.drain()
        self.read_on()
        for app in self.apps:
            self.check_last(self.positions, app)

    def drain(self) -> None:
        """Run until everything is acknowledged."""
        for app in self.apps:
            if not app.buffer.empty:
                self.connect(app.number, 0)
        while not all(app.buffer.empty for app in self.apps):
            for app in self.apps:
                self.send(app.number, 4)
            self.pack(0)
            self.append(0, 0, False)
            for app in self.apps:
                self.hear_ack(app.number)

    def read_on(self) -> None:
        """The shard, to the end of the log."""
        while self.applied < len(self.log):
            self.read(3, False)

    def check(self) -> None:
        """Positions: the last fix that the rider made. Trails: every fix of the log, once, and every fix ever made.

        An owner whose rewind does not reach back to that fix does not know it, until the rider moves again.
        """
        logged = self.logged()
        rebuilt = RiderPositions()
        whole = self.read_log(0, len(self.log))
        assert whole is not None
        rebuilt.apply(whole.take(np.random.default_rng(len(whole)).permutation(len(whole))))
        seen = self.read_log(self.first, len(self.log))
        for app in self.apps:
            self.check_last(rebuilt, app)
            if seen is not None and app.made[-1] in seen.ts_ms[seen.rider_id == np.uint64(app.rider_id)]:
                self.check_last(self.positions, app)
            trail = done(self.trails.of_rider(CITY, app.rider_id, NOON_MS, self.now_ms))
            keys = list(zip(trail.session.tolist(), trail.seq.tolist(), strict=True))
            assert len(set(keys)) == len(keys)
            assert set(keys) == {(s, q) for r, s, q in logged if r == app.rider_id}
            assert set(trail.ts_ms.tolist()) == set(app.made)

    def check_last(self, positions: RiderPositions, app: App) -> None:
        """The rider is where it was last."""
        fixes, _, known = positions.positions_of(np.array([app.rider_id], np.uint64), self.now_ms)
        assert known[0]
        assert (fixes.ts_ms[0], fixes.lat_e7[0]) == (app.made[-1], place(app.made[-1])[0])

    def logged(self) -> dict[tuple[int, int, int], int]:
        """The log as a set: key to time. Two fixes with one key would have to be one fix."""
        whole = self.read_log(0, len(self.log))
        found: dict[tuple[int, int, int], int] = {}
        if whole is not None:
            columns = (whole.rider_id, whole.session, whole.seq, whole.ts_ms)
            for *key, ts_ms in zip(*(column.tolist() for column in columns), strict=True):
                assert found.setdefault((key[0], key[1], key[2]), ts_ms) == ts_ms
        return found


def place(ts_ms: int) -> tuple[int, int]:
    """The place of everybody at a time: north, at 4 m/s."""
    return LAT_E7 + (ts_ms - NOON_MS) // 28, LNG_E7


def settle(held: tuple[Held, ...]) -> None:
    """The edge learns that messages are durable or refused."""
    for session, ticket in held:
        session.ledger.settle(ticket)


Motion.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestMotionConverges = Motion.TestCase
