"""The WebSocket server's limits, in this process, over memory adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.live.adapters.kitchens import ServiceKitchens
from gateway.live.adapters.memory import MemoryFeed, MemoryOrders, MemoryStreams
from gateway.live.hub import Hub
from gateway.live.kitchen.hub import KitchenHub
from gateway.live.operator_view import OperatorHub
from gateway.live.server import LiveServer
from node.clock import SystemClock
from node.tokens import TokenSigner, TokenVerifier, create_keys
from tests.unit.gateway.worlds import CITY, CLOCK_LINE, ORDER, order_at_the_kitchen


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """Address of one order's stream, for three sockets at most, two a token; `{token}` is left to be filled in."""
    create_keys(tmp_path / "key.pem", tmp_path / "jwks.json")
    log, clock, feed, orders = structlog.get_logger(), SystemClock(), MemoryFeed(), MemoryOrders()
    orders.orders[ORDER] = order_at_the_kitchen()
    hub = Hub(orders, feed, clock, CLOCK_LINE, log, poll_s=60, polls_per_s=1)
    ops = OperatorHub(MemoryStreams(), feed, dict, hub.ages, CLOCK_LINE, log)
    async with grpc.aio.insecure_channel("127.0.0.1:1") as nobody:
        kitchens = KitchenHub(ServiceKitchens(nobody), clock, CLOCK_LINE, log)
        verifier = TokenVerifier(tmp_path / "jwks.json")
        server = LiveServer(hub, ops, kitchens, verifier, log, max_sockets=3, max_sockets_per_token=2)
        running = asyncio.create_task(hub.run())
        await server.start("127.0.0.1", 0)
        yield f"ws://127.0.0.1:{server.port}/v1/live/orders/{ORDER}"
        await server.close()
        running.cancel()


async def test_a_full_process_and_a_greedy_token_are_told(url: str, tmp_path: Path) -> None:
    """The third socket of a token closes with 4429; past the process's limit the handshake is answered 503."""
    signer = TokenSigner(tmp_path / "key.pem")
    customer = f"{url}?token={signer.sign('order', ORDER, ttl_s=60, city=CITY)}"
    operator = f"{url}?token={signer.sign('ops', 'me', ttl_s=60)}"
    async with connect(customer, proxy=None) as one, connect(customer, proxy=None) as two:
        assert b"snapshot" in await _frame(one)
        assert b"snapshot" in await _frame(two)
        async with connect(customer, proxy=None) as greedy:
            with pytest.raises(ConnectionClosed) as closed:
                await greedy.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4429
        async with connect(operator, proxy=None) as three:
            assert b"snapshot" in await _frame(three)
            with pytest.raises(InvalidStatus) as refused:
                await connect(operator, proxy=None)
            assert refused.value.response.status_code == 503


async def _frame(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(10):
        frame = await socket.recv(decode=False)
    assert isinstance(frame, bytes)
    return frame
