"""`RiderClient` on an edge in memory: whatever the phone's sensors and its clock say."""

from __future__ import annotations

import asyncio
import math
import struct
from typing import Any

import pytest

from node.clock import ManualClock
from tests.unit.tracking.lines import Line, memory_link
from tests.unit.tracking.test_edge import until
from tests.unit.tracking.worlds import LAT_E7, LNG_E7, NOW_MS, EdgeWorld
from tracking.client import RiderClient, RiderStatus, SendBuffer, Stopped, wire
from tracking.client.send_buffer import Batch, Single, Status
from tracking.model import RiderReplied


class SlowLine(Line):
    """A line on which what comes down waits for `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.waits = False

    async def read(self) -> Any:
        said = await super().read()
        self.waits = True
        await self.go.wait()
        return said


def offline(buffer: SendBuffer) -> RiderClient:
    """A client that was not started, whose outbox is open all the same."""
    buffer.opened(1)
    return RiderClient(memory_link(EdgeWorld()), "", ManualClock(NOW_MS), buffer=buffer)


@pytest.mark.parametrize(
    ("name", "said", "sent"),
    [
        ("no speed", {"speed_cms": -1}, {"speed_cms": 0}),
        ("speed of nothing", {"speed_cms": math.nan}, {"speed_cms": 0}),
        ("fast", {"speed_cms": 70_000.5}, {"speed_cms": 65_535}),
        ("no accuracy", {"accuracy_dm": -10}, {"accuracy_dm": 0}),
        ("seven kilometres", {"accuracy_dm": 70_000}, {"accuracy_dm": 65_535}),
        ("endless", {"accuracy_dm": math.inf}, {"accuracy_dm": 65_535}),
        ("full turn", {"heading_cdeg": 36_000}, {"heading_cdeg": 0}),
        ("west as a negative", {"heading_cdeg": -9_000}, {"heading_cdeg": 27_000}),
        ("direction of nothing", {"heading_cdeg": math.nan}, {"heading_cdeg": 0}),
    ],
)
async def test_what_sensors_say_is_made_to_fit(name: str, said: dict[str, Any], sent: dict[str, int]) -> None:
    """A fix with an odd accuracy, heading or speed is sent with the nearest that the columns hold."""
    buffer = SendBuffer()
    offline(buffer).fix(LAT_E7, LNG_E7, **said)
    message = buffer.next_message()
    assert isinstance(message, Batch)
    wire.request(message)
    columns = dict(zip(("accuracy_dm", "heading_cdeg", "speed_cms"), message.fixes[0][3:], strict=True))
    assert columns == {"accuracy_dm": 50, "heading_cdeg": 0, "speed_cms": 0} | sent, name


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("lat_e7", {"lat_e7": -29.9027}),
        ("lat_e7", {"lat_e7": 900_000_001}),
        ("lng_e7", {"lng_e7": 1_800_000_001}),
        ("lng_e7", {"lng_e7": math.nan}),
        ("ts_ms", {"ts_ms": 1.5}),
        ("ts_ms", {"ts_ms": 1 << 63}),
    ],
)
async def test_a_fix_that_is_nowhere_is_told_at_once(field: str, said: dict[str, Any]) -> None:
    """The caller hears of it, and nothing waits to be sent."""
    buffer = SendBuffer()
    with pytest.raises(ValueError, match=f"^{field}: "):
        offline(buffer).fix(**{"lat_e7": LAT_E7, "lng_e7": LNG_E7} | said)
    assert buffer.empty


@pytest.mark.parametrize(
    "said",
    [
        {"capacity": -1},
        {"capacity": 1 << 32},
        {"capacity": 1.5},
        {"shift_end_ms": 1 << 63},
        {"ts_ms": -(1 << 63)},
        {"at": (LAT_E7, 2_000_000_000)},
        {"status": 6},
        {"vehicle": 9},
    ],
)
async def test_a_status_that_no_message_holds_is_told_at_once(said: dict[str, Any]) -> None:
    """The caller hears of it, and nothing waits to be sent."""
    buffer = SendBuffer()
    with pytest.raises(ValueError, match=r"."):
        offline(buffer).status(**{"status": RiderStatus.ONLINE} | said)
    assert buffer.empty


async def test_a_writer_that_dies_ends_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be made into a message for a bug is told as the client's failure, not met with silence."""

    def broken(_: Batch | Single) -> None:
        raise struct.error("a bug")

    monkeypatch.setattr(wire, "request", broken)
    async with RiderClient(memory_link(EdgeWorld()), "", ManualClock(NOW_MS)) as rider:
        rider.fix(LAT_E7, LNG_E7)
        await until(lambda: rider.failure is not None)
        assert isinstance(rider.failure, struct.error)
        with pytest.raises(struct.error):
            await rider.drain(5)


@pytest.mark.parametrize("off_ms", [-90_000, -10_000, -999, 0, 999, 10_000, 90_000])
async def test_a_phone_with_a_wrong_clock_is_where_it_is_now(off_ms: int) -> None:
    """Fixes, replies and statuses reach the log with the edge's time, those made before the first Welcome too."""
    world, phone = EdgeWorld(), ManualClock(NOW_MS + off_ms)
    kept = off_ms if abs(off_ms) < 1_000 else 0
    rider = RiderClient(memory_link(world), "", phone)
    rider.signal(False)
    rider.fix(LAT_E7, LNG_E7)
    for clock in (world.clock, phone):
        clock.advance(4_000)
    async with rider:
        rider.signal(True)
        await rider.drain(5)
        for clock in (world.clock, phone):
            clock.advance(1_000)
        rider.fix(LAT_E7, LNG_E7)
        rider.reply("o-1", True)
        await until(lambda: len(world.logged()) == 2 and bool(world.event_log.events))
        assert rider.now_ms == NOW_MS + 5_000 + kept
    logged = [ts_ms for _, fixes in world.fix_log.messages[0] for ts_ms in fixes.ts_ms.tolist()]
    assert logged == [NOW_MS + kept, NOW_MS + 5_000 + kept]
    assert [event.body for event in world.event_log.events[0]] == [RiderReplied("o-1", True, NOW_MS + 5_000 + kept)]
    assert len(rider.journal.refused) == 0


async def test_a_slow_welcome_spoils_no_good_clock() -> None:
    """One that was seven seconds on its way says nothing against a clock that agrees with its edge."""
    world, slow = EdgeWorld(), SlowLine()
    link = memory_link(world, slow)
    async with RiderClient(link, "", world.clock) as rider:
        await until(lambda: slow.waits)
        world.clock.advance(7_000)
        slow.go.set()
        await until(lambda: rider.connected)
        assert rider.now_ms == NOW_MS + 7_000


async def test_a_clock_that_is_minutes_off_is_still_refused() -> None:
    """Nothing is guessed about such a phone: the client ends."""
    async with RiderClient(memory_link(EdgeWorld()), "", ManualClock(NOW_MS - 121_000)) as rider:
        rider.fix(LAT_E7, LNG_E7)
        with pytest.raises(Stopped, match="set it"):
            await rider.drain(5)


def test_what_is_sent_again_says_the_same_time() -> None:
    """A clock that was set right while offline: what had been sent keeps its time, what had not gets the new one."""
    buffer = SendBuffer(offset_ms=90_000)
    buffer.opened(1)
    buffer.fix((1_000, 0, 0, 0, 0, 0))
    buffer.event(Status(RiderStatus.ONLINE, 1_000))
    online, first = buffer.next_message(), buffer.next_message()
    assert isinstance(first, Batch)
    assert isinstance(online, Single)
    assert (first.fixes[0][0], online.event.ts_ms) == (91_000, 91_000)
    buffer.fix((2_000, 0, 0, 0, 0, 0))
    buffer.event(Status(RiderStatus.OFFLINE, 2_000))
    buffer.disconnected()
    buffer.offset_ms = 7
    buffer.opened(2)
    again = [buffer.next_message() for _ in range(3)]
    assert [one.event.ts_ms for one in again if isinstance(one, Single)] == [91_000, 2_007]
    assert [[fix[0] for fix in one.fixes] for one in again if isinstance(one, Batch)] == [[91_000, 2_007]]


def test_thinning_and_forgetting_know_what_was_sent() -> None:
    """Of ten fixes that were sent and ten that were not, each that stays has the time of its kind."""
    buffer = SendBuffer(max_fixes=20, offset_ms=1_000_000)
    buffer.opened(1)
    for n in range(20):
        buffer.fix((n, 0, 0, 0, 0, 0))
        if n == 9:
            buffer.next_message()
            buffer.disconnected()
            buffer.offset_ms = 2_000_000
    buffer.fix((20, 0, 0, 0, 0, 0))  # of the older ten every second goes
    buffer.drop_older(1_000_005)
    buffer.opened(2)
    message = buffer.next_message()
    assert isinstance(message, Batch)
    told = [1_000_000 + n for n in (5, 7, 9)]
    assert [fix[0] for fix in message.fixes] == told + [2_000_000 + n for n in range(10, 21)]
