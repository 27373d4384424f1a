"""The edge on memory logs: promises, pressure, supersession and the drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from node.errors import Invalid
from proto.fix_columns import FixColumns
from tests.unit.tracking.worlds import NOW_MS, EdgeWorld
from tracking.adapters.memory import MemoryEventLog, MemoryFixLog
from tracking.engine.down_queue import Acked, GoAway, Throttled
from tracking.engine.edge import ACK_AT, ACKS_PER_S
from tracking.engine.limits import Limits
from tracking.engine.session import RiderSession
from tracking.errors import BadHello, Closing, Superseded
from tracking.model import Refusal, RiderEvent, RiderId, RiderReplied, RiderStatusChanged
from tracking.statuses import RiderStatus


class BrokenLog(MemoryFixLog):
    """A log with a bug in it."""

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        raise ZeroDivisionError("a bug")


class StandingLog(MemoryFixLog):
    """A log whose first partition stands still until `go`."""

    def __post_init__(self) -> None:
        """Closed."""

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        if partition == 0:
            await self.passed()
        self.messages.setdefault(partition, []).append((city, fixes))


class StandingEvents(MemoryEventLog):
    """The same, of events."""

    def __post_init__(self) -> None:
        """Closed."""

    async def append(self, partition: int, events: Sequence[RiderEvent]) -> None:
        if partition == 0:
            await self.passed()
        self.events.setdefault(partition, []).extend(events)


async def until(true: Callable[[], bool]) -> None:
    """Lets other tasks run until a condition holds."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  (what is waited for has no event)
            await asyncio.sleep(0.001)


def acked(session: RiderSession) -> int:
    """The last Ack in what is to be sent."""
    return max((message.seq for message in session.down_queue.take() if isinstance(message, Acked)), default=0)


async def test_ack_comes_after_the_log_and_not_before() -> None:
    """While the log holds, nothing is acknowledged; when it is durable, all of it is."""
    world = EdgeWorld()
    world.fix_log.go.clear()
    ana = world.rider(1)
    world.send(ana, 1, 3)
    world.edge.event(ana, 4, RiderReplied("o-1", True, NOW_MS))
    await until(lambda: bool(world.event_log.events))
    assert acked(ana) == 0, "the reply is durable, the fixes before it are not"
    world.fix_log.go.set()
    await until(lambda: ana.ledger.empty)
    assert acked(ana) == 4
    assert world.logged() == [(1, ana.session, 1), (1, ana.session, 2), (1, ana.session, 3)]
    assert world.edge.waiting_fixes == 0


async def test_with_many_streams_acks_of_fixes_come_less_often() -> None:
    """With 1,400 streams a stream's fixes are acknowledged every two seconds, but a reply at once and all before it."""
    world = EdgeWorld()
    ana, *_ = [world.rider(number) for number in range(1, 2 * round(ACKS_PER_S) + 1)]

    async def durable(seq: int) -> None:
        await until(lambda: ana.ledger.acked == seq)

    world.send(ana, 1)
    await durable(1)
    assert acked(ana) == 1
    world.clock.advance(1900)
    world.send(ana, 2)
    await durable(2)
    assert acked(ana) == 0
    world.clock.advance(100)
    world.send(ana, 3)
    await durable(3)
    assert acked(ana) == 3
    world.send(ana, 4)
    await durable(4)
    world.edge.event(ana, 5, RiderReplied("o-1", True, NOW_MS))
    await durable(5)
    assert acked(ana) == 5


async def test_a_burst_is_acknowledged_while_it_comes() -> None:
    """However long ago the last ack was, that of five hundred fixes goes out at once."""
    world = EdgeWorld()
    ana = world.rider(1)
    for first in range(1, ACK_AT + 201, 100):
        world.send(ana, first, 100)
        await until(lambda: ana.ledger.empty)
    assert acked(ana) == ACK_AT + 100, "the first hundred at once, then five hundred more; the last hundred wait"


async def test_a_log_that_is_away_is_tried_again() -> None:
    """Nothing is given up and nothing acknowledged while the log is away; then all arrives, events in order."""
    world = EdgeWorld()
    world.fix_log.away = world.event_log.away = True
    ana = world.rider(1)
    for seq in range(1, 20, 2):
        world.send(ana, seq)
        world.edge.event(ana, seq + 1, RiderStatusChanged(RiderStatus.ONLINE, "", NOW_MS))
    await asyncio.sleep(0.02)
    assert acked(ana) == 0
    world.fix_log.away = world.event_log.away = False
    await until(lambda: ana.ledger.empty)
    assert ana.ledger.acked == 20
    assert {seq for _, _, seq in world.logged()} == set(range(1, 20, 2))
    assert [event.seq for event in world.event_log.events[0]] == list(range(2, 21, 2))


async def test_sequence_numbers_must_grow() -> None:
    """A batch or event whose number was used is refused and not logged."""
    world = EdgeWorld()
    ana = world.rider(1)
    world.send(ana, 5, 2)
    world.send(ana, 6)
    world.edge.event(ana, 6, RiderReplied("o-1", True, NOW_MS))
    refusals = [(one.seq, one.field) for one in ana.down_queue.take() if isinstance(one, Refusal)]
    assert refusals == [(6, "pings.seq[0]"), (6, "reply.seq")]
    await until(lambda: ana.ledger.empty)
    assert [seq for _, _, seq in world.logged()] == [5, 6]


async def test_a_refused_batch_is_covered_by_the_ack() -> None:
    """A bad batch between two good ones is told first, and the ack covers all three."""
    world = EdgeWorld()
    ana = world.rider(1)
    world.send(ana, 1)
    world.send(ana, 2, lat_e7=2_000_000_000)
    world.send(ana, 3)
    await until(lambda: ana.ledger.empty)
    sent = ana.down_queue.take()
    assert [type(one) for one in sent] == [Refusal, Acked]
    assert ana.ledger.acked == 3
    assert [seq for _, _, seq in world.logged()] == [1, 3]
    assert world.edge.waiting_fixes == 0


async def test_the_newer_session_supersedes_the_older() -> None:
    """A second stream of a rider gets a greater session, the first one ends with a reason; its fixes still land."""
    world = EdgeWorld()
    first = world.rider(1)
    world.send(first, 1)
    second = world.rider(1)
    assert second.session > first.session
    assert first.down_queue.end is not None
    assert isinstance(first.down_queue.end[0], Superseded)
    assert not first.reading, "its row is the second one's now"
    world.send(second, 1)
    await until(lambda: second.ledger.empty and first.ledger.empty)
    assert sorted(world.logged()) == [(1, first.session, 1), (1, second.session, 1)]
    world.edge.close(first)
    assert world.edge.sessions == {1: second}


@pytest.mark.parametrize(
    ("name", "city", "device_ms", "last_session", "field"),
    [
        ("no such city", "atlantis", NOW_MS, 0, "city"),
        ("clock behind", "la-serena", NOW_MS - 120_001, 0, "hello.device_ms"),
        ("clock ahead", "la-serena", NOW_MS + 120_001, 0, "hello.device_ms"),
        ("session of the far future", "la-serena", NOW_MS, NOW_MS + 48 * 3_600_000, "hello.last_session"),
    ],
)
async def test_bad_hellos(name: str, city: str, device_ms: int, last_session: int, field: str) -> None:
    """Whoever is not to have a session is told the field; nothing is opened."""
    world = EdgeWorld()
    with pytest.raises(Invalid) as refused:
        world.edge.open(RiderId(1), city, device_ms, last_session)
    assert refused.value.field == field, name
    assert isinstance(refused.value, BadHello) or field == "city"
    assert world.edge.sessions == {}


async def test_sessions_follow_the_clients_last() -> None:
    """A session is the wall clock's milliseconds, or one more than the last one the client knows."""
    world = EdgeWorld()
    assert world.rider(1).session == NOW_MS
    assert world.rider(2, last_session=NOW_MS + 7).session == NOW_MS + 8


async def test_a_stream_with_too_much_unacked_is_not_read() -> None:
    """At the bound the stream is held back; it goes on when the log has caught up. Others are not held."""
    world = EdgeWorld(Limits(max_unacked_fixes=100))
    world.fix_log.go.clear()
    ana, ben = world.rider(1), world.rider(2)
    world.send(ana, 1, 100)
    assert world.edge.crowded(ana)
    assert not world.edge.crowded(ben)
    waiting = asyncio.create_task(world.edge.room(ana))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    world.fix_log.go.set()
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("kind", ["fixes", "events"])
async def test_a_city_whose_log_stands_still_holds_up_no_other(kind: str) -> None:
    """At its bound its streams are held back, all of them; another city's are read, and its fixes become durable."""
    world = EdgeWorld(
        Limits(max_city_fixes=30, max_waiting_events=30, max_waiting_fixes=100),
        fix_log=StandingLog(),
        event_log=StandingEvents(),
    )
    ana, zoe, ben = world.rider(1), world.rider(3), world.rider(2, "coquimbo")
    for seq in range(1, 31):
        if kind == "fixes":
            world.send(ana, seq)
        else:
            world.edge.event(ana, seq, RiderReplied(f"o-{seq}", True, NOW_MS))
    await until(lambda: world.edge.crowded(ana))
    assert world.edge.crowded(zoe)
    assert not world.edge.crowded(ben)
    world.send(ben, 1)
    world.edge.event(ben, 2, RiderReplied("o-1", True, NOW_MS))
    await until(lambda: ben.ledger.empty)
    waiting = asyncio.create_task(world.edge.room(zoe))
    world.fix_log.go.set()
    world.event_log.go.set()
    await asyncio.wait_for(waiting, 5)
    world.edge.stop()


async def test_what_cities_hold_together_is_bounded() -> None:
    """With every city under its bound and all of them over the edge's, nobody is read."""
    world = EdgeWorld(Limits(max_city_fixes=60, max_waiting_fixes=100))
    world.fix_log.go.clear()
    ana, ben = world.rider(1), world.rider(2, "coquimbo")
    for rider in (ana, ben):
        world.send(rider, 1, 50)
    await until(lambda: world.edge.crowded(ana))
    assert world.edge.crowded(ben)
    world.edge.stop()


async def test_only_the_late_city_is_throttled() -> None:
    """The riders of the city whose log stands still are told to send less, newcomers too; others are not."""
    world = EdgeWorld(fix_log=StandingLog())
    running = asyncio.create_task(world.edge.run())
    ana, ben = world.rider(1), world.rider(2, "coquimbo")
    world.send(ana, 1)
    await until(lambda: world.edge._fix_writers["la-serena"].waiting == 1)
    world.clock.advance(3_100)
    await until(lambda: ana.down_queue.pending)
    assert ana.down_queue.take() == [Throttled(0.2)]
    assert world.rider(3).down_queue.take() == [Throttled(0.2)]
    assert not ben.down_queue.pending
    assert not world.rider(4, "coquimbo").down_queue.pending
    running.cancel()
    world.edge.stop()


async def test_refusals_nobody_reads_hold_the_stream_back() -> None:
    """A rider that sends rubbish and reads nothing is not read any more; reading makes room."""
    world = EdgeWorld()
    ana = world.rider(1)
    while not world.edge.crowded(ana):
        world.edge.refuse(ana, Refusal(0, "", "bad_message", "rubbish"))
    waiting = asyncio.create_task(world.edge.room(ana))
    await asyncio.sleep(0)
    assert len(ana.down_queue.take()) == 64
    await asyncio.wait_for(waiting, 5)


async def test_riders_are_throttled_while_durability_is_late() -> None:
    """When fixes wait too long all riders are told to send less, newcomers too; when it is over it is lifted."""
    world = EdgeWorld()
    world.fix_log.go.clear()
    running = asyncio.create_task(world.edge.run())
    ana = world.rider(1)
    world.send(ana, 1)
    await until(lambda: world.edge.waiting_fixes == 1)
    await asyncio.sleep(0.01)
    world.clock.advance(3_100)
    await until(lambda: ana.down_queue.pending)
    assert ana.down_queue.take() == [Throttled(0.2)]
    assert world.rider(2).down_queue.take() == [Throttled(0.2)]
    world.fix_log.go.set()
    await until(lambda: Throttled(0.0) in ana.down_queue.take())
    running.cancel()


async def test_a_drain_acks_everything_and_sends_riders_away() -> None:
    """Draining waits for the log, then acknowledges, says Reconnect and ends the stream; new streams are refused."""
    world = EdgeWorld()
    world.fix_log.go.clear()
    ana = world.rider(1)
    world.send(ana, 1, 5)
    draining = asyncio.create_task(world.edge.drain(5))
    await asyncio.sleep(0.01)
    with pytest.raises(Closing):
        world.rider(2)
    assert ana.down_queue.end is None
    world.fix_log.go.set()
    await draining
    sent = ana.down_queue.take()
    assert Acked(5) in sent
    assert any(isinstance(one, GoAway) for one in sent)
    assert ana.down_queue.end == (None,)


async def test_a_drain_ends_at_its_deadline() -> None:
    """A log that never answers does not keep the process; what it did not take is not acknowledged."""
    world = EdgeWorld()
    world.fix_log.go.clear()
    ana = world.rider(1)
    world.send(ana, 1, 5)
    await world.edge.drain(0.05)
    assert acked(ana) == 0
    world.edge.stop()


async def test_rows_of_closed_streams_are_used_again() -> None:
    """Ten thousand streams one after another need no more rows than were open at once."""
    world = EdgeWorld()
    rows = set()
    for number in range(10_000):
        session = world.rider(number + 1)
        rows.add(session.row)
        world.edge.close(session)
    assert len(rows) == 1


async def test_a_broken_part_ends_the_edge() -> None:
    """An error nobody expected behind the streams is raised by `run`, and so ends the process."""
    world = EdgeWorld(fix_log=BrokenLog())
    ana = world.rider(1)
    world.send(ana, 1)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(world.edge.run(), 5)
