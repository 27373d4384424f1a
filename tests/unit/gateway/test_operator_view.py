"""The whole-city view over memory adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from gateway.live.adapters.memory import MemoryFeed, MemoryStreams
from gateway.live.fix_ages import FixAges
from gateway.live.frames import json_frame
from gateway.live.model import City, CityFrame
from gateway.live.operator_view import OperatorHub
from gateway.live.socket_queue import SocketQueue
from node.clock import ManualClock
from node.errors import Invalid, Retryable
from tests.unit.gateway.worlds import CITY, CLOCK_LINE, StiffWire, fix, read

_DEADLINE_S = 5.0
_MAP = {"version": 1, "cities": [{"city": CITY, "shard_id": "s", "epoch": 1, "moving_to": None}], "shards": []}


class CountedStreams(MemoryStreams):
    """Counts how often a city was asked for; the first asking ends at once, as when its owner has just changed."""

    opened = 0

    async def watch(self, city: City) -> AsyncIterator[CityFrame]:
        self.opened += 1
        if self.opened == 1:
            raise Retryable("the owner changed")
        async for frame in super().watch(city):
            yield frame


class World:
    """One city and its viewers."""

    def __init__(self) -> None:
        self.streams, self.feed = CountedStreams(), MemoryFeed()
        ages = FixAges(ManualClock())
        self.hub = OperatorHub(self.streams, self.feed, lambda: _MAP, ages, CLOCK_LINE, structlog.get_logger())

    def viewer(self) -> StiffWire:
        wire = StiffWire()
        self.hub.join(SocketQueue(wire, self.hub.hello))
        return wire

    async def say(self, epoch: int, tick: int) -> None:
        """The owner sends a whole frame."""
        frame = json_frame({"type": "city", "epoch": epoch, "tick": tick})
        await self.streams.queue(CITY).put(CityFrame(CITY, epoch, tick, frame))


@asynccontextmanager
async def world(viewers: int) -> AsyncIterator[tuple[World, list[StiffWire]]]:
    """A running hub with viewers, of whom the feed knows."""
    made = World()
    wires = [made.viewer() for _ in range(viewers)]
    tasks = [asyncio.create_task(made.hub.run()), asyncio.create_task(made.feed.run(made.hub))]
    await asyncio.sleep(0)
    yield made, wires
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def frame_of(wire: StiffWire, kind: str, **values: Any) -> dict[str, Any]:
    """Waits for a frame of a kind with these values."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            for frame in map(read, wire.taken):
                if frame["type"] == kind and values.items() <= frame.items():
                    return frame
            await asyncio.sleep(0)


async def test_many_viewers_cost_one_stream_and_it_is_opened_again_when_lost() -> None:
    """Three viewers, one upstream stream: lost once, opened once more."""
    async with world(3) as (w, wires):
        await w.say(epoch=1, tick=5)
        for wire in wires:
            await frame_of(wire, "city", tick=5)
        assert w.streams.opened == 2


async def test_a_viewer_who_comes_later_sees_the_city_at_once() -> None:
    """The last whole frame is kept for it."""
    async with world(1) as (w, wires):
        await w.say(epoch=1, tick=5)
        await frame_of(wires[0], "city", tick=5)
        assert [read(frame)["type"] for frame in w.viewer().taken] == ["hello", "city"]


async def test_an_old_owner_s_frames_and_moves_are_dropped() -> None:
    """After epoch 2 nothing of epoch 1 is shown."""
    async with world(1) as (w, (wire,)):
        await w.say(epoch=2, tick=1)
        await w.say(epoch=1, tick=99)
        await w.say(epoch=2, tick=2)
        await frame_of(wire, "city", tick=2)
        await w.feed.publish_fixes(CITY, 1, [fix(7)])
        await w.feed.publish_fixes(CITY, 2, [fix(8)])
        kinds = [(frame["type"], frame.get("tick")) for frame in map(read, wire.taken) if frame["type"] != "stats"]
        assert kinds == [("hello", None), ("city", 1), ("city", 2), ("moves", None)]


async def test_without_viewers_nothing_is_asked_for() -> None:
    """An empty room costs the shards nothing."""
    async with world(0) as (w, _):
        await asyncio.sleep(0)
        assert w.streams.opened == 0


class RefusedStreams(MemoryStreams):
    """Says that the question is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = 0
        self.asked = asyncio.Event()

    async def watch(self, city: City) -> AsyncIterator[CityFrame]:
        self.opened += 1
        self.asked.set()
        raise Invalid("city", "is not on the map")
        yield


async def test_a_city_that_is_refused_is_not_asked_for_again() -> None:
    """And the hub goes on."""
    async with world(0) as (now, _):
        now.hub._streams = refused = RefusedStreams()
        now.viewer()
        async with asyncio.timeout(_DEADLINE_S):
            await refused.asked.wait()
            await asyncio.wait({now.hub._cities[CITY]})
        assert refused.opened == 1
