"""Watchers on real WebSockets."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from node.clock import SystemClock
from simulator.city.model import OrderId
from simulator.drive.customers import PlacedOrder
from simulator.drive.watchers import Watchers


def order(port: int, name: str = "o1") -> PlacedOrder:
    """An order that is told on a port of this machine."""
    return PlacedOrder(OrderId(name), "la-serena", f"ws://127.0.0.1:{port}/{name}", "secret")


async def settled(watchers: Watchers) -> None:
    """All sockets are closed."""
    async with asyncio.timeout(10):
        await asyncio.gather(*watchers._tasks)


async def test_the_age_of_a_fix_is_measured_on_the_wall_clock() -> None:
    """A fix 30 domain seconds old at 30x is one wall second old. The first position is not counted, the end closes."""
    clock = SystemClock(30, SystemClock().wall_ms(), 1_000_000)
    asked: list[str] = []

    async def tell(socket: ServerConnection) -> None:
        asked.append(socket.request.path if socket.request else "")
        await socket.send(json.dumps({"type": "snapshot", "status": "picked_up"}))
        await socket.send(json.dumps({"type": "position", "ts_ms": clock.domain_ms() - 900_000}))
        await socket.send(json.dumps({"type": "position", "ts_ms": clock.domain_ms() - 30_000}))
        await socket.send(json.dumps({"type": "status", "status": "delivered"}))
        await socket.wait_closed()

    async with serve(tell, "127.0.0.1", 0) as server:
        watchers = Watchers(clock, at_once=5)
        assert watchers.offer(order(server.sockets[0].getsockname()[1]))
        await settled(watchers)
    assert asked == ["/o1?token=secret"]
    assert list(watchers.age_ms) == [pytest.approx(1000, abs=500)]
    assert (watchers.finals, watchers.failed) == ({"delivered": 1}, 0)


async def test_a_cut_socket_is_opened_again() -> None:
    """The server hangs up once; the second time the story ends."""
    times = 0

    async def tell(socket: ServerConnection) -> None:
        nonlocal times
        times += 1
        if times == 2:
            await socket.send(json.dumps({"type": "snapshot", "status": "cancelled"}))
            await socket.wait_closed()

    async with serve(tell, "127.0.0.1", 0) as server:
        watchers = Watchers(SystemClock(), at_once=5)
        watchers.offer(order(server.sockets[0].getsockname()[1]))
        await settled(watchers)
    assert (times, watchers.finals) == (2, {"cancelled": 1})


async def test_there_are_only_so_many_watchers() -> None:
    """An order beyond the limit goes unwatched; closing cuts all off."""

    async def tell(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(tell, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        watchers = Watchers(SystemClock(), at_once=1)
        assert watchers.offer(order(port, "o1"))
        assert not watchers.offer(order(port, "o2"))
        await watchers.close()
    assert watchers.open == 0
