# ruff: noqa: N802 (names of RPCs)
"""Orders and the gateway start before anybody can tell them the borders: they say so, and serve once they know."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.stack import LocalStack
from node.errors import Retryable
from node.rpc import Server, fault_of
from node.tokens import create_keys
from proto.orders.v1 import orders_pb2
from proto.orders.v1.orders_pb2_grpc import OrdersStub
from proto.shard_router.v1 import borders_pb2
from proto.shard_router.v1.borders_pb2_grpc import CityBordersServicer, add_CityBordersServicer_to_server
from proto.shard_router.v1.shard_router_pb2_grpc import add_ShardRouterServicer_to_server
from tests.integration.gateway_world import RouterAtHand
from tests.integration.orders_world import Process, administer, basket, free_address, until

NOT_SERVING, SERVING = health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING


class LateBorders(CityBordersServicer):
    """Borders that cannot be read until `known`."""

    def __init__(self) -> None:
        self.known = False

    async def GetBorders(self, request: borders_pb2.GetBordersRequest, context: Any) -> borders_pb2.GetBordersResponse:
        if not self.known:
            raise Retryable("the database of the borders is away")
        return borders_pb2.GetBordersResponse()


@asynccontextmanager
async def started(stack: LocalStack, folder: Path, router: str) -> AsyncIterator[tuple[Process, Process]]:
    """Orders and the gateway, while nobody listens at the router's address; both go on waiting for it."""
    base, name = stack.env["FORNO_POSTGRES_URL"], f"orders_{uuid.uuid4().hex[:8]}"
    private_key, jwks = folder / "key.pem", folder / "jwks.json"
    create_keys(private_key, jwks)
    env = {
        **stack.env,
        "FORNO_ROUTER_ADDRESS": router,
        "FORNO_ORDERS_RANGES": f"0-65535={name}",
        "FORNO_JWT_PRIVATE_KEY_FILE": str(private_key),
        "FORNO_JWT_JWKS_FILE": str(jwks),
    }
    orders = Process("orders.main", env, folder / "orders.log")
    gateway = Process("gateway.main", {**env, "FORNO_ORDERS_ADDRESS": orders.listen}, folder / "gateway.log")
    await administer(base, [f"create database {name}"])
    try:
        await orders.begin()
        await gateway.begin()
        yield orders, gateway
    finally:
        for process in (gateway, orders):
            if process.running is not None:
                await process.stop()
        await administer(base, [f"drop database {name} with (force)"])


async def test_who_does_not_know_the_borders_is_not_ready(stack: LocalStack, tmp_path: Path) -> None:
    """First no router, then one whose borders cannot be read, then all of it; no process is started anew."""
    address, borders = free_address(), LateBorders()  # type: ignore[abstract]  # nobody publishes here
    async with started(stack, tmp_path, address) as (orders, gateway), AsyncExitStack() as exits:
        web = await exits.enter_async_context(httpx.AsyncClient(base_url=f"http://{gateway.listen}", trust_env=False))
        channel = await exits.enter_async_context(aio.insecure_channel(orders.listen))

        async def health() -> tuple[int | None, int]:
            """Of orders (None: it does not listen yet), and of the gateway (0: likewise)."""
            try:
                said = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
                serving = said.status
            except aio.AioRpcError:
                serving = None
            try:
                return serving, (await web.get("/healthz")).status_code
            except httpx.TransportError:
                return serving, 0

        assert await health() == (None, 0)
        router = RouterAtHand()  # type: ignore[abstract]  # nobody moves a city here
        server = Server(
            address,
            [],
            [
                lambda grpc_server: add_ShardRouterServicer_to_server(router, grpc_server),
                lambda grpc_server: add_CityBordersServicer_to_server(borders, grpc_server),
            ],
        )
        await server.start()
        exits.push_async_callback(server.stop, 0)
        await until(health, lambda both: both == (NOT_SERVING, 503), "both listen and are not ready")
        assert (await web.get("/v1/cities")).status_code == 503
        with pytest.raises(aio.AioRpcError) as refused:
            await OrdersStub(channel).Quote(orders_pb2.QuoteRequest(user_id="ana", basket=basket()), timeout=10)
        told = fault_of(refused.value)
        assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")

        borders.known = True
        await until(health, lambda both: both == (SERVING, 200), "both serve")
        assert (await web.get("/v1/cities")).status_code == 200
        await OrdersStub(channel).Quote(orders_pb2.QuoteRequest(user_id="ana", basket=basket()), timeout=10)
