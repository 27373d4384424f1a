"""Whatever breaks and however the log orders things: the greatest (session, seq) is the last fix, none is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from tracking.client.send_buffer import Batch, SendBuffer
from tracking.engine.ledger import AckLedger, Ticket
from tracking.engine.session import next_session


@dataclass(slots=True)
class Stream:
    """The edge's end of a stream: what it received and has not made durable, with the ledger's tickets."""

    session: int
    ledger: AckLedger = field(default_factory=AckLedger)
    received: list[tuple[Ticket, Batch]] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """A rider's outbox, the edge's stream and the log: fixes are named by the order in which they were made."""

    buffer: SendBuffer = field(default_factory=SendBuffer)
    log: list[tuple[int, int, int]] = field(default_factory=list)
    late: list[tuple[int, Batch]] = field(default_factory=list)
    stream: Stream = field(default_factory=lambda: Stream(0))
    made: int = 0
    wall_ms: int = 1

    def connect(self) -> None:
        """A new session; the clock need not have moved."""
        self.stream = Stream(next_session(self.wall_ms, self.buffer.session))
        self.buffer.opened(self.stream.session)

    def make(self) -> None:
        """The rider moves."""
        self.buffer.fix((self.made, 0, 0, 0, 0, 0))
        self.made += 1

    def send(self) -> None:
        """The app sends one message."""
        message = self.buffer.next_message()
        if isinstance(message, Batch):
            self.stream.received.append((self.stream.ledger.take(message.last_seq, len(message.fixes)), message))

    def append(self, index: int) -> None:
        """Some batch becomes durable, not always the oldest; the edge may die before it says so."""
        if self.stream.received:
            ticket, batch = self.stream.received.pop(index % len(self.stream.received))
            self.land(self.stream.session, batch)
            self.stream.ledger.settle(ticket)

    def land(self, session: int, batch: Batch) -> None:
        """A batch is in the log."""
        self.log += [(session, batch.first_seq + i, fix[0]) for i, fix in enumerate(batch.fixes)]

    def ack(self) -> None:
        """The edge's ack reaches the app."""
        self.buffer.ack(self.stream.ledger.acked)

    def lose(self, appended: bool) -> None:
        """The edge dies; what it had received is lost, or was on its way and lands after all that comes later."""
        if appended:
            self.late += [(self.stream.session, batch) for _, batch in self.stream.received]
        self.buffer.disconnected()
        self.connect()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("make")),
        st.tuples(st.just("send")),
        st.tuples(st.just("append"), st.integers(0, 5)),
        st.tuples(st.just("ack")),
        st.tuples(st.just("lose"), st.booleans()),
    ),
    max_size=60,
)


@given(STEPS)
def test_streams_that_break_converge(steps: list[tuple[object, ...]]) -> None:
    """Random lives, then a drain: all fixes are in the log, all that is acked is, the position is the last."""
    model = Model()
    model.connect()
    model.make()
    for name, *arguments in steps:
        getattr(model, str(name))(*arguments)
    while not model.buffer.empty:
        model.send()
        model.append(0)
        model.ack()
    for session, batch in model.late:
        model.land(session, batch)
    in_log = {(session, seq) for session, seq, _ in model.log}
    assert set(model.buffer.journal.acked_fixes) <= in_log
    assert {made for _, _, made in model.log} == set(range(model.made))
    assert len(in_log) == len(model.log), "a number was used twice"
    assert max(model.log)[2] == model.made - 1
