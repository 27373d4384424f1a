"""The hub over memory adapters: how news of an order reaches its watchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import structlog

from gateway.live.adapters.memory import MemoryFeed, MemoryOrders
from gateway.live.hub import Hub, WatchedOrder
from gateway.live.model import OrderId
from gateway.live.socket_queue import SocketQueue
from gateway.live.watch import OrderWatch
from node.clock import SystemClock
from node.errors import NotFound
from tests.unit.gateway.worlds import CITY, CLOCK_LINE, ORDER, StiffWire, fix, order_at_the_kitchen, read, track

_DEADLINE_S = 5.0


class World:
    """A hub that watches one order of one city."""

    def __init__(self, poll_s: float) -> None:
        self.source, self.feed = MemoryOrders(), MemoryFeed()
        self.source.orders[ORDER] = order_at_the_kitchen()
        self.hub = Hub(
            self.source, self.feed, SystemClock(), CLOCK_LINE, structlog.get_logger(), poll_s=poll_s, polls_per_s=1000
        )

    @asynccontextmanager
    async def watcher(self) -> AsyncIterator[tuple[WatchedOrder, StiffWire]]:
        """A watcher with a fast line."""
        async with self.hub.visit(ORDER) as order:
            wire = StiffWire()
            queue = SocketQueue(wire, order.watch.snapshot)
            order.queues.add(queue)
            try:
                yield order, wire
            finally:
                order.queues.discard(queue)


@asynccontextmanager
async def world(poll_s: float = 60.0) -> AsyncIterator[World]:
    """A running hub; its poll is out of the way unless a test wants it."""
    made = World(poll_s)
    async with AsyncExitStack() as stack:
        for run in (made.hub.run(), made.feed.run(made.hub)):
            task = asyncio.create_task(run)
            stack.callback(task.cancel)
        await asyncio.sleep(0)
        yield made


async def until(condition: Callable[[], Any]) -> None:
    """Waits until something is so."""
    async with asyncio.timeout(_DEADLINE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def words(wire: StiffWire) -> list[str]:
    return [read(frame)["status"] for frame in wire.taken if read(frame)["type"] == "status"]


async def test_a_wake_brings_the_news() -> None:
    """The wake says that something changed; what it is comes from committed state."""
    async with world() as w, w.watcher() as (_, wire):
        w.source.tracks[ORDER] = track("accepted", "assigned")
        await w.feed.publish_wake(CITY, 1, [ORDER])
        await until(lambda: words(wire) == ["assigned"])


async def test_a_lost_wake_costs_one_poll() -> None:
    """Nobody wakes the hub, and the watcher gets the news all the same."""
    async with world(poll_s=0.01) as w, w.watcher() as (_, wire):
        w.source.tracks[ORDER] = track("accepted", "assigned")
        await until(lambda: words(wire) == ["assigned"])


@pytest.mark.parametrize(
    ("label", "seen_s", "asked_s", "due"),
    [
        ("never seen, asked two seconds ago", float("-inf"), 98.0, True),
        ("never seen, just asked", float("-inf"), 99.0, False),
        ("seen, asked two seconds ago", 99.0, 98.0, False),
        ("seen, asked ten seconds ago", 99.0, 90.0, True),
        ("seen long ago", 94.0, 98.0, True),
    ],
)
def test_an_order_whose_rider_is_seen_is_asked_about_less_often(
    label: str, seen_s: float, asked_s: float, due: bool
) -> None:
    """Positions that come in show that its owner and Redis are at work."""
    order = WatchedOrder(OrderWatch(order_at_the_kitchen(), CLOCK_LINE), seen_s=seen_s, asked_s=asked_s)
    assert order.due(100.0, 1.5) is due, label


async def test_another_owners_first_position_has_the_order_asked_about() -> None:
    """What the owner before it committed last may never have been said: its wake died with it."""
    async with world() as w, w.watcher() as (_, wire):
        w.source.tracks[ORDER] = track("accepted", "assigned", epoch=2)
        await w.feed.publish_fixes(CITY, 2, [fix(1)])
        await until(lambda: words(wire) == ["assigned"])


async def test_a_gap_in_the_feed_makes_everything_be_asked_for() -> None:
    """After Redis was away, what was published meanwhile is fetched."""
    async with world() as w, w.watcher() as (_, wire):
        w.source.tracks[ORDER] = track("accepted", "assigned")
        w.hub.gap()
        await until(lambda: words(wire) == ["assigned"])


async def test_a_service_that_is_away_is_only_a_pause() -> None:
    """The owner of the city is away for some polls; the watcher stays and gets the news after."""
    async with world(poll_s=0.01) as w, w.watcher() as (order, wire):
        w.source.away = True
        asked_s = order.asked_s
        await until(lambda: order.asked_s > asked_s)
        w.source.tracks[ORDER] = track("accepted", "assigned", "picked_up")
        w.source.away = False
        await until(lambda: words(wire) == ["assigned", "picked_up"])


async def test_two_watchers_share_one_order_and_one_question() -> None:
    """Both get each frame; the order is let go when the last one leaves."""
    async with world() as w:
        async with w.watcher() as (one, first), w.watcher() as (other, second):
            assert one is other
            w.source.tracks[ORDER] = track("picked_up")
            await w.feed.publish_wake(CITY, 1, [ORDER])
            await until(lambda: words(first) == words(second) == ["picked_up"])
            await w.feed.publish_fixes(CITY, 1, [fix(1, picked_up=True)])
            assert first.taken[-1] is second.taken[-1]
        assert w.hub.watched == {}


async def test_positions_of_orders_that_nobody_watches_are_nothing() -> None:
    """They cost a look-up."""
    async with world() as w:
        await w.feed.publish_fixes(CITY, 1, [fix(1, picked_up=True)])
        assert w.hub.ages.percentiles_ms() is None


async def test_the_end_of_an_order_ends_its_sockets() -> None:
    """After the last status each outbox is told to end, with the reason."""
    async with world() as w, w.watcher() as (order, wire):
        (queue,) = order.queues
        w.source.tracks[ORDER] = track("picked_up", "delivered")
        await w.feed.publish_wake(CITY, 1, [ORDER])
        async with asyncio.timeout(_DEADLINE_S):
            assert await queue.ended == "delivered"
        assert words(wire) == ["picked_up", "delivered"]


async def test_an_unknown_order_is_said_to_be_unknown() -> None:
    """The visitor is turned away and nothing is kept of it."""
    async with world() as w:
        with pytest.raises(NotFound):
            async with w.hub.visit(OrderId("nobody")):
                pass
        assert w.hub.watched == {}
