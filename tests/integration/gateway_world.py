# ruff: noqa: N802 (names of RPCs)
"""A small world around the gateway: one order in one city, told by real gRPC servers that a test moves on by hand."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
from redis.asyncio import Redis

from node.errors import Conflict, NotFound, Rejected
from node.rpc import Server
from node.tokens import TokenSigner, create_keys
from proto.common.v1.types_pb2 import LatLng, Money
from proto.dispatch.v1 import dispatch_pb2, live_pb2
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchServicer, add_DispatchServicer_to_server
from proto.orders.v1 import orders_pb2
from proto.orders.v1.orders_pb2_grpc import OrdersServicer, add_OrdersServicer_to_server
from proto.shard_router.v1 import borders_pb2, shard_router_pb2
from proto.shard_router.v1.borders_pb2_grpc import CityBordersServicer, add_CityBordersServicer_to_server
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterServicer, add_ShardRouterServicer_to_server

CITY = "la-serena"
RIDER = 2**63 + 17
NOW_MS = 1_700_000_000_000
_READY_S = 20.0
Context = grpc.aio.ServicerContext[Any, Any]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class NoBorders(CityBordersServicer):
    """Borders of which none was published."""

    async def GetBorders(self, request: borders_pb2.GetBordersRequest, context: Any) -> borders_pb2.GetBordersResponse:
        return borders_pb2.GetBordersResponse()


class OrdersAtHand(OrdersServicer):
    """Orders kept in a dict; `advance` moves one on."""

    def __init__(self) -> None:
        self.orders: dict[str, orders_pb2.Order] = {}
        self.keys: dict[str, tuple[bytes, str]] = {}

    async def Quote(self, request: orders_pb2.QuoteRequest, context: Context) -> orders_pb2.QuoteResponse:
        return orders_pb2.QuoteResponse(price=_price(request.basket), eta_ms=NOW_MS + 1_800_000)

    async def Place(self, request: orders_pb2.PlaceRequest, context: Context) -> orders_pb2.PlaceResponse:
        body = request.basket.SerializeToString(deterministic=True)
        if request.idempotency_key in self.keys:
            known, order_id = self.keys[request.idempotency_key]
            if known != body:
                raise Conflict("this key has placed another order", reason="IDEMPOTENCY_KEY_REUSED")
            return orders_pb2.PlaceResponse(order=self.orders[order_id], replayed=True)
        order = orders_pb2.Order(
            order_id=str(uuid.uuid4()),
            user_id=request.user_id,
            basket=request.basket,
            price=_price(request.basket),
            placed_ms=NOW_MS,
            promised_ms=NOW_MS + 2_400_000,
            version=1,
        )
        self.orders[order.order_id] = order
        self.keys[request.idempotency_key] = (body, order.order_id)
        self.advance(order.order_id, orders_pb2.ORDER_STATUS_PLACED)
        return orders_pb2.PlaceResponse(order=order)

    async def Get(self, request: orders_pb2.GetRequest, context: Context) -> orders_pb2.GetResponse:
        order = self.orders.get(request.order_id)
        if order is None or request.user_id not in ("", order.user_id):
            raise NotFound(f"there is no order {request.order_id}")
        return orders_pb2.GetResponse(order=order)

    async def List(self, request: orders_pb2.ListRequest, context: Context) -> orders_pb2.ListResponse:
        mine = [order for order in self.orders.values() if order.user_id == request.user_id]
        return orders_pb2.ListResponse(orders=mine[: request.limit])

    async def Cancel(self, request: orders_pb2.CancelRequest, context: Context) -> orders_pb2.CancelResponse:
        await self.Get(orders_pb2.GetRequest(order_id=request.order_id, user_id=request.user_id), context)
        order = self.orders[request.order_id]
        if order.status >= orders_pb2.ORDER_STATUS_PICKED_UP:
            raise Rejected("it is on its way already", reason="TOO_LATE")
        self.advance(order.order_id, orders_pb2.ORDER_STATUS_CANCELLED)
        return orders_pb2.CancelResponse(order=order)

    def advance(self, order_id: str, status: orders_pb2.OrderStatus.ValueType) -> None:
        """Adds a status to the order's history."""
        order = self.orders[order_id]
        order.status = status
        order.history.add(status=status, at_ms=NOW_MS + 1000 * len(order.history))


class DispatchAtHand(DispatchServicer):
    """Tracks kept in a dict; `advance` adds an event."""

    def __init__(self) -> None:
        self.tracks: dict[str, dispatch_pb2.TrackResponse] = {}
        self.epoch = 1
        self.asked = 0

    async def Track(self, request: dispatch_pb2.TrackRequest, context: Context) -> dispatch_pb2.TrackResponse:
        self.asked += 1
        track = self.tracks.get(request.order_id)
        if track is None:
            raise NotFound(f"there is no order {request.order_id} here")
        answer = dispatch_pb2.TrackResponse()
        answer.CopyFrom(track)
        answer.epoch = self.epoch
        del answer.events[:]
        answer.events.extend(event for event in track.events if event.seq > request.after_seq)
        return answer

    async def WatchCity(
        self, request: dispatch_pb2.WatchCityRequest, context: Context
    ) -> AsyncIterator[dispatch_pb2.WatchCityResponse]:
        tick = 0
        while True:
            tick += 1
            yield dispatch_pb2.WatchCityResponse(
                city=request.city,
                epoch=self.epoch,
                shard_id="shard-1",
                tick=tick,
                rider_id=RIDER.to_bytes(8, "little"),
                rider_lat_e7=(-299_000_000).to_bytes(4, "little", signed=True),
                rider_lng_e7=(-712_500_000).to_bytes(4, "little", signed=True),
                rider_ts_ms=NOW_MS.to_bytes(8, "little"),
                rider_state=bytes([dispatch_pb2.RIDER_ACTIVITY_IDLE]),
                counters=dispatch_pb2.CityCounters(riders_online=1, tick_p50_ms=3.5),
            )
            await asyncio.sleep(request.every_ms / 1000)

    def advance(self, order_id: str, state: dispatch_pb2.OrderState.ValueType, *, rider_id: int = 0) -> None:
        """Adds an event to the order's track."""
        track = self.tracks.setdefault(order_id, dispatch_pb2.TrackResponse(eta_ms=NOW_MS + 1_500_000))
        track.state = state
        track.rider_id = rider_id or track.rider_id
        seq = len(track.events) + 1
        track.events.add(seq=seq, state=state, at_ms=NOW_MS + 10_000 + seq)


class RouterAtHand(ShardRouterServicer):
    """A map with one city and one shard."""

    def __init__(self) -> None:
        self.address = ""

    async def GetMap(
        self, request: shard_router_pb2.GetMapRequest, context: Context
    ) -> shard_router_pb2.GetMapResponse:
        city = shard_router_pb2.City(
            city=CITY,
            name="La Serena",
            shard_id="shard-1",
            address=self.address,
            epoch=1,
            time_zone="America/Santiago",
            currency="CLP",
            center=LatLng(lat_e7=-299_045_000, lng_e7=-712_489_000),
        )
        shard = shard_router_pb2.Shard(shard_id="shard-1", address=self.address, alive=True, cities=[CITY])
        return shard_router_pb2.GetMapResponse(version=1, cities=[city], shards=[shard])

    async def WatchMap(
        self, request: shard_router_pb2.WatchMapRequest, context: Context
    ) -> AsyncIterator[shard_router_pb2.WatchMapResponse]:
        while True:
            yield shard_router_pb2.WatchMapResponse(map=await self.GetMap(shard_router_pb2.GetMapRequest(), context))
            await asyncio.sleep(1)

    async def MoveCity(
        self, request: shard_router_pb2.MoveCityRequest, context: Context
    ) -> shard_router_pb2.MoveCityResponse:
        raise Rejected("this city stays")

    async def Audit(self, request: shard_router_pb2.AuditRequest, context: Context) -> shard_router_pb2.AuditResponse:
        raise Rejected("no record is kept here")


@dataclass
class GatewayWorld:
    """The two gateway processes, the services they ask, and the Redis they hear."""

    http_url: str
    live_url: str
    signer: TokenSigner
    redis: Redis
    orders: OrdersAtHand
    dispatch: DispatchAtHand
    live_pid: int

    def user(self, name: str) -> dict[str, str]:
        """Headers of a user."""
        return {"authorization": f"Bearer {self.signer.sign('user', name, ttl_s=600)}"}

    async def subscribed(self) -> None:
        """Returns when the live process hears the city."""
        channel = f"live:{CITY}"
        async with asyncio.timeout(_READY_S):
            while dict(await self.redis.pubsub_numsub(channel))[channel.encode()] == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def live_rss_kb(self) -> int:
        """Resident memory of the live process."""
        status = Path(f"/proc/{self.live_pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    async def wake(self, *order_ids: str) -> None:
        """Dispatch says that these orders changed."""
        message = live_pb2.Wake(city=CITY, epoch=self.dispatch.epoch, order_ids=order_ids)
        await self.redis.publish(f"wake:{CITY}", message.SerializeToString())

    async def move(self, order_id: str, seq: int, *, picked_up: bool, lat_e7: int, epoch: int = 0) -> None:
        """Dispatch says where the order's rider is."""
        message = self.position(order_id, seq, picked_up=picked_up, lat_e7=lat_e7, epoch=epoch)
        await self.redis.publish(f"live:{CITY}", message)

    def position(self, order_id: str, seq: int, *, picked_up: bool, lat_e7: int, epoch: int = 0) -> bytes:
        """The message that says so."""
        fix = live_pb2.LivePosition(
            order_id=order_id,
            rider_id=RIDER,
            lat_e7=lat_e7,
            lng_e7=-712_500_000,
            ts_ms=NOW_MS + seq * 1000,
            session=1,
            seq=seq,
            picked_up=picked_up,
        )
        message = live_pb2.LivePositions(city=CITY, epoch=epoch or self.dispatch.epoch, positions=[fix])
        return message.SerializeToString()

    async def place(self, client: httpx.AsyncClient, user: str = "ana") -> dict[str, Any]:
        """An order that dispatch knows, with no rider yet: the answer of POST /v1/orders."""
        key = {"idempotency-key": uuid.uuid4().hex}
        answer = await client.post("/v1/orders", json=order_body(), headers=self.user(user) | key)
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        order_id = placed["order"]["order_id"]
        self.orders.advance(order_id, orders_pb2.ORDER_STATUS_AUTHORISED)
        self.orders.advance(order_id, orders_pb2.ORDER_STATUS_ACCEPTED)
        self.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_OPEN)
        return placed


def order_body(**changes: Any) -> dict[str, Any]:
    """A pizza for a street in La Serena."""
    return {
        "city": CITY,
        "restaurant": {
            "restaurant_id": "r1",
            "name": "Da Ana",
            "lat": -29.9045,
            "lng": -71.2489,
            "preparation_s": 600,
        },
        "dropoff": {"lat": -29.92, "lng": -71.26},
        "items": [{"sku": "margherita", "name": "Margherita", "quantity": 2, "price_minor": 7990}],
        "tip_minor": 500,
        "payment_token": "tok_ok",
    } | changes


@asynccontextmanager
async def services_at_hand() -> AsyncIterator[tuple[OrdersAtHand, DispatchAtHand, RouterAtHand, str, str]]:
    """The three services on free ports, and the addresses of orders and of the router."""
    orders = OrdersAtHand()
    router = RouterAtHand()  # type: ignore[abstract]  # nobody moves a city here
    dispatch = DispatchAtHand()  # type: ignore[abstract]  # the gateway asks for nothing else
    async with AsyncExitStack() as stack:
        orders_address = await _served(stack, lambda server: add_OrdersServicer_to_server(orders, server))
        router.address = await _served(stack, lambda server: add_DispatchServicer_to_server(dispatch, server))
        router_address = await _served(
            stack,
            lambda server: add_ShardRouterServicer_to_server(router, server),
            lambda server: add_CityBordersServicer_to_server(NoBorders(), server),  # type: ignore[abstract]
        )
        yield orders, dispatch, router, orders_address, router_address


@asynccontextmanager
async def gateway_world(folder: Path, redis_url: str, **env: str) -> AsyncIterator[GatewayWorld]:
    """Starts everything on free ports; the processes are stopped by SIGTERM and must leave with code 0."""
    private_key, jwks = folder / "key.pem", folder / "jwks.json"
    create_keys(private_key, jwks)
    http_port, live_port = free_port(), free_port()
    live_url = f"ws://127.0.0.1:{live_port}"
    async with services_at_hand() as (orders, dispatch, _, orders_address, router_address), AsyncExitStack() as stack:
        redis = Redis.from_url(redis_url)
        stack.push_async_callback(redis.aclose)
        settings = {
            "FORNO_REDIS_URL": redis_url,
            "FORNO_ORDERS_ADDRESS": orders_address,
            "FORNO_ROUTER_ADDRESS": router_address,
            "FORNO_JWT_PRIVATE_KEY_FILE": str(private_key),
            "FORNO_JWT_JWKS_FILE": str(jwks),
            "FORNO_LIVE_URL": live_url,
            **env,
        }
        pids = [
            await _process(stack, module, {**settings, "FORNO_LISTEN": f"127.0.0.1:{port}"})
            for module, port in (("gateway.main", http_port), ("gateway.live.main", live_port))
        ]
        for port in (http_port, live_port):
            await _healthy(f"http://127.0.0.1:{port}/healthz")
        yield GatewayWorld(
            f"http://127.0.0.1:{http_port}", live_url, TokenSigner(private_key), redis, orders, dispatch, pids[1]
        )


async def _served(stack: AsyncExitStack, *add: Any) -> str:
    server = Server("127.0.0.1:0", [], add)
    await server.start()
    stack.push_async_callback(server.stop, 0)
    return f"127.0.0.1:{server.port}"


async def _process(stack: AsyncExitStack, module: str, env: dict[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env={**os.environ, **env})

    async def end() -> None:
        process.terminate()
        assert await process.wait() == 0, f"{module} left with {process.returncode}"

    stack.push_async_callback(end)
    return process.pid


async def _healthy(url: str) -> None:
    async with asyncio.timeout(_READY_S), httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(url)).status_code == 200:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def _price(basket: orders_pb2.Basket) -> orders_pb2.Price:
    items = sum(item.quantity * item.price.minor for item in basket.items)
    currency = basket.items[0].price.currency
    return orders_pb2.Price(
        items=Money(minor=items, currency=currency),
        delivery_fee=Money(minor=1500, currency=currency),
        tip=basket.tip,
        tax=Money(minor=2618, currency=currency),
        tax_included=True,
        total=Money(minor=items + 1500 + basket.tip.minor, currency=currency),
    )
