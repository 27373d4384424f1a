"""Kitchens of the simulated city on real WebSockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve

from node.clock import SystemClock
from node.tokens import TokenSigner, create_keys
from simulator.city.model import OrderId
from simulator.drive.customers import PlacedOrder
from simulator.drive.kitchens import Kitchens
from simulator.drive.tokens import Tokens


async def test_ready_is_pressed_when_it_is_ready_and_again_when_it_was_too_early(tmp_path: Path) -> None:
    """The order that is not in the kitchen yet is pressed anew; kitchens without a screen say nothing."""
    create_keys(tmp_path / "key.pem", tmp_path / "jwks.json")
    pressed: asyncio.Queue[str] = asyncio.Queue()
    paths = []

    async def obey(socket: ServerConnection) -> None:
        paths.append(socket.request.path.partition("?")[0] if socket.request else "")
        seen: set[str] = set()
        async for message in socket:
            command = json.loads(message)
            known = command["order_id"] in seen
            seen.add(command["order_id"])
            await socket.send(json.dumps({"type": "heartbeat"}))
            await socket.send(json.dumps({"type": "done" if known else "refused", "id": command["id"]}))
            pressed.put_nowait(command["order_id"])

    async with serve(obey, "127.0.0.1", 0) as server:
        clock = SystemClock(100, SystemClock().wall_ms(), 1_000_000)
        kitchens = Kitchens(clock, Tokens(TokenSigner(tmp_path / "key.pem")), frozenset({"r 1"}))
        base = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/live/orders/x"
        for number, restaurant in ((1, "r 1"), (2, "r 1"), (3, "r-2")):
            order = PlacedOrder(
                OrderId(f"o{number}"), "la-serena", base, "", restaurant, clock.domain_ms() + 1000 * number
            )
            kitchens.expect(order)
        async with asyncio.timeout(10):
            order_of_presses = [await pressed.get() for _ in range(4)]
        await kitchens.close()
    assert sorted(order_of_presses) == ["o1", "o1", "o2", "o2"]
    assert order_of_presses[0] == "o1"
    assert paths == ["/v1/live/kitchens/r%201"]
