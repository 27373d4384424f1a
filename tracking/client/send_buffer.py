"""Buffer of a rider's app: messages to be sent, and sent ones not acknowledged yet. Pure: no I/O, no clock.

    fix()   ─> waiting fixes (bounded, oldest thinned first) ─┐  next_message()            ack(N) / refused(seq)
    event() ─> waiting events (never thinned) ────────────────┴─> in flight, numbered ────> journal
                     ^                                                │
                     └────────────── disconnected() ──────────────────┘   sent again in the next session, numbered anew

Numbers are given when a message is sent, 1, 2, 3, … in each session. What was in flight when a stream broke may be in
the log or not; it is sent again, in its old order and before anything newer, so the log may hold it twice under two
sessions. Readers converge: positions by the greatest (session, seq), replies by offer, statuses by (order, status).

Times come in by the device's clock. When a message is first sent they are put right by `offset_ms`, and stay so: what
is sent again says the same time as before, however the clocks have moved meanwhile.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from proto.fix_columns import MAX_PING_BATCH
from tracking.client.errors import SendBufferFull
from tracking.client.journal import AckJournal
from tracking.statuses import RiderStatus, Vehicle

#: So many batches may be in flight before smaller ones than `MAX_PING_BATCH` wait.
EAGER_BATCHES = 16
#: A fix, in the order of the columns of `tracking.v1.PingBatch` after the sequence number.
FixRow = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to an offer."""

    offer_id: str
    accepted: bool
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Status:
    """A change of the rider's status."""

    status: RiderStatus
    ts_ms: int
    order_id: str = ""
    shift_end_ms: int = 0
    capacity: int = 0
    vehicle: Vehicle = Vehicle.UNKNOWN
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Fixes in one message, numbered from `first_seq` on."""

    first_seq: int
    fixes: tuple[FixRow, ...]

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.fixes) - 1


@dataclass(frozen=True, slots=True)
class Single:
    """A reply or a status in a message of its own."""

    first_seq: int
    event: Reply | Status

    @property
    def last_seq(self) -> int:
        return self.first_seq


@dataclass(slots=True)
class SendBuffer:
    """Bounded: `max_fixes` waiting or in flight fixes, `max_events` events; at most `window` fixes in flight."""

    max_fixes: int = 3_600
    max_events: int = 1_000
    window: int = 1_000
    journal: AckJournal = field(default_factory=AckJournal)
    session: int = 0
    #: What the edge's clock is ahead of the device's, domain milliseconds.
    offset_ms: int = 0
    _seq: int = 0
    _fixes: deque[FixRow] = field(default_factory=deque)
    _events: deque[Reply | Status] = field(default_factory=deque)
    #: So many at the head of those two were sent before: their times are the edge's already.
    _told_fixes: int = 0
    _told_events: int = 0
    _sent: deque[Batch | Single] = field(default_factory=deque)
    _sent_fixes: int = 0
    _sent_batches: int = 0
    _sent_events: int = 0

    def fix(self, row: FixRow) -> None:
        """Takes a fix. When all room is used, every second fix of the older half is dropped."""
        if len(self._fixes) + self._sent_fixes >= self.max_fixes:
            self._thin()
        self._fixes.append(row)

    def event(self, event: Reply | Status) -> None:
        """Takes a reply or a status. Raises `SendBufferFull`: nothing of this kind is ever dropped."""
        if len(self._events) + self._sent_events >= self.max_events:
            raise SendBufferFull(f"{self.max_events} replies and statuses wait to be acknowledged")
        self._events.append(event)

    @property
    def empty(self) -> bool:
        """Whether all that was taken is acknowledged, refused or thinned."""
        return not (self._fixes or self._events or self._sent)

    @property
    def waiting_fixes(self) -> int:
        """Fixes that are not in flight."""
        return len(self._fixes)

    @property
    def unacked(self) -> int:
        """Fixes and events that are not acknowledged."""
        return len(self._fixes) + len(self._events) + self._sent_fixes + self._sent_events

    def opened(self, session: int) -> None:
        """A session is open: numbers begin again with 1."""
        self.session, self._seq = session, 0
        self.journal.sessions += 1

    def next_message(self) -> Batch | Single | None:
        """The next message to send, now in flight; None if there is none, or if fixes should wait.

        Events go first, one a message. Fixes wait when the window is full, and while `EAGER_BATCHES` batches are not
        acknowledged they go in full batches only: so batches are small on a fast way and large on a slow one.
        """
        if self._events:
            self._seq += 1
            single = Single(self._seq, self._take_event())
            self._sent.append(single)
            self._sent_events += 1
            self.journal.sent_events += 1
            return single
        n = min(len(self._fixes), MAX_PING_BATCH, self.window - self._sent_fixes)
        if n <= 0 or (n < MAX_PING_BATCH and self._sent_batches >= EAGER_BATCHES):
            return None
        batch = Batch(self._seq + 1, tuple(self._take_fix() for _ in range(n)))
        self._seq += n
        self._sent.append(batch)
        self._sent_fixes += n
        self._sent_batches += 1
        self.journal.sent_fixes += n
        return batch

    def ack(self, seq: int) -> None:
        """Drop everything up to `seq` of this session: it is durable or refused."""
        while self._sent and self._sent[0].last_seq <= seq:
            message = self._sent.popleft()
            self._off(message)
            ranges = self.journal.acked_fixes if isinstance(message, Batch) else self.journal.acked_events
            ranges.add(self.session, message.first_seq, message.last_seq)

    def refused(self, seq: int) -> None:
        """The message that begins with `seq` was refused: it is forgotten."""
        for message in self._sent:
            if message.first_seq == seq:
                self._sent.remove(message)
                self._off(message)
                self.journal.refused.add(self.session, message.first_seq, message.last_seq)
                return

    def disconnected(self) -> None:
        """The stream is gone: what was in flight waits again, before all that is newer."""
        for message in reversed(self._sent):
            if isinstance(message, Batch):
                self._fixes.extendleft(reversed(message.fixes))
            else:
                self._events.appendleft(message.event)
        self._told_fixes += self._sent_fixes
        self._told_events += self._sent_events
        self._sent.clear()
        self._sent_fixes = self._sent_batches = self._sent_events = 0

    def drop_older(self, ts_ms: int) -> None:
        """Forgets waiting fixes from before `ts_ms` (the edge's): it would refuse a batch with one of them."""
        while self._fixes and self._fixes[0][0] + (0 if self._told_fixes else self.offset_ms) < ts_ms:
            self._take_fix()
            self.journal.thinned_fixes += 1

    def _take_fix(self) -> FixRow:
        row = self._fixes.popleft()
        if self._told_fixes:
            self._told_fixes -= 1
            return row
        return (row[0] + self.offset_ms, *row[1:])

    def _take_event(self) -> Reply | Status:
        event = self._events.popleft()
        if self._told_events:
            self._told_events -= 1
            return event
        return replace(event, ts_ms=event.ts_ms + self.offset_ms)

    def _off(self, message: Batch | Single) -> None:
        if isinstance(message, Batch):
            self._sent_fixes -= len(message.fixes)
            self._sent_batches -= 1
        else:
            self._sent_events -= 1

    def _thin(self) -> None:
        half = len(self._fixes) // 2
        old = [self._fixes.popleft() for _ in range(half)]
        kept = old[1::2]
        self._told_fixes -= (min(half, self._told_fixes) + 1) // 2  # the first of two goes
        self.journal.thinned_fixes += half - len(kept)
        self._fixes.extendleft(reversed(kept))
