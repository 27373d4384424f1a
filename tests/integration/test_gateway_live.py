"""Live tracking through the real process, over real Redis and gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2
from tests.integration.gateway_world import RIDER, GatewayWorld, gateway_world

_DEADLINE_S = 10.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayWorld]:
    """A gateway with one city and no orders."""
    async with gateway_world(tmp_path_factory.mktemp("gateway"), stack.env["FORNO_REDIS_URL"]) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: GatewayWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=world.http_url) as client:
        yield client


def url(placed: dict[str, Any], query: str = "") -> str:
    """Where the customer watches the order."""
    return f"{placed['live_url']}?token={placed['tracking_token']}{query}"


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a kind; frames of other kinds are skipped."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] == kind:
                return frame


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """Code and reason with which the server closes."""
    async with asyncio.timeout(_DEADLINE_S):
        with pytest.raises(ConnectionClosed) as end:
            while True:
                await socket.recv()
    assert end.value.rcvd is not None
    return end.value.rcvd.code, end.value.rcvd.reason


async def test_an_order_is_watched_from_the_kitchen_to_the_door(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """Snapshot, a cell before pickup, the exact place after it, and the end with its reason."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    async with connect(url(placed)) as socket:
        snapshot = await heard(socket, "snapshot")
        assert snapshot["status"] == "accepted"
        assert [event["status"] for event in snapshot["events"]] == ["placed", "authorised", "accepted"]
        assert snapshot["rider"] is None
        assert snapshot["restaurant"] == {"name": "Da Ana", "lat": -29.9045, "lng": -71.2489}

        world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_OFFERED)
        world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_ASSIGNED, rider_id=RIDER)
        await world.wake(order_id)
        assert (await heard(socket, "status"))["status"] == "assigned"

        await world.move(order_id, 1, picked_up=False, lat_e7=-299_123_456)
        veiled = await heard(socket, "position")
        assert veiled["cell"].startswith("88")
        assert veiled["lat"] != -29.9123456

        world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_PICKED_UP)
        await world.wake(order_id)
        assert (await heard(socket, "status"))["status"] == "picked_up"
        await world.move(order_id, 2, picked_up=True, lat_e7=-299_123_456)
        exact = await heard(socket, "position")
        assert (exact["lat"], exact["lng"]) == (-29.9123456, -71.25)

        world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_DELIVERED)
        await world.wake(order_id)
        assert (await heard(socket, "status"))["status"] == "delivered"
        assert await closed(socket) == (1000, "delivered")
