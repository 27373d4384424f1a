"""Frames that a socket still has to get are bounded, and always the newest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.live.socket_queue import MAX_EVENTS, SocketQueue
from tests.unit.gateway.worlds import StiffWire


def resync() -> bytes:
    return b"snapshot"


async def test_a_reader_that_keeps_up_gets_everything_at_once() -> None:
    """Nothing waits while the wire is ready."""
    wire = StiffWire()
    queue = SocketQueue(wire, resync)
    queue.latest("position", b"p1")
    queue.event(b"e1")
    queue.latest("position", b"p2")
    assert wire.taken == [b"p1", b"e1", b"p2"]
    assert queue.pending == 0


async def test_a_slow_reader_gets_the_newest_of_each_kind() -> None:
    """A thousand positions wait as one, behind the events that must not be skipped."""
    wire = StiffWire(room=0)
    queue = SocketQueue(wire, resync)
    for number in range(1000):
        queue.latest("position", b"p%d" % number)
    queue.latest("heartbeat", b"h")
    queue.event(b"e1")
    assert queue.pending == 3
    wire.room = 10
    queue.flush()
    assert wire.taken == [b"e1", b"p999", b"h"]


async def test_too_many_events_become_one_snapshot() -> None:
    """The reader who slept longest gets the state, not the history."""
    wire = StiffWire(room=0)
    queue = SocketQueue(wire, resync)
    for number in range(MAX_EVENTS + 1):
        queue.event(b"e%d" % number)
    assert queue.pending == 1
    queue.event(b"after")
    wire.room = 10
    queue.flush()
    assert wire.taken == [b"snapshot", b"after"]


async def test_the_end_comes_after_everything_pending() -> None:
    """A slow reader is told how the order ended before the socket closes."""
    wire = StiffWire(room=0)
    queue = SocketQueue(wire, resync)
    queue.event(b"delivered")
    queue.end("delivered")
    assert not queue.ended.done()
    wire.room = 1
    queue.flush()
    assert queue.ended.result() == "delivered"


async def test_what_must_not_be_seen_any_more_is_forgotten() -> None:
    """After delivery no position leaves, not even one that was waiting."""
    wire = StiffWire(room=0)
    queue = SocketQueue(wire, resync)
    queue.latest("position", b"p")
    queue.forget_latest()
    wire.room = 10
    queue.flush()
    assert wire.taken == []


@given(
    st.lists(
        st.one_of(st.tuples(st.just("latest"), st.sampled_from("ab")), st.just(("event", "")), st.just(("room", "")))
    )
)
async def test_any_order_of_doings_stays_bounded_and_loses_no_newest(doings: list[tuple[str, str]]) -> None:
    """Pending frames never exceed the bound; the last frame of each key always arrives."""
    wire = StiffWire(room=0)
    queue = SocketQueue(wire, resync)
    last: dict[str, bytes] = {}
    for number, (doing, key) in enumerate(doings):
        if doing == "latest":
            last[key] = b"%s%d" % (key.encode(), number)
            queue.latest(key, last[key])
        elif doing == "event":
            queue.event(b"e%d" % number)
        else:
            wire.room += 1
            queue.flush()
        assert queue.pending <= MAX_EVENTS + 3
    wire.room = 10**6
    queue.flush()
    assert set(last.values()) <= set(wire.taken)
    events = [frame for frame in wire.taken if frame.startswith(b"e")]
    assert events == sorted(events, key=lambda frame: int(frame[1:]))
