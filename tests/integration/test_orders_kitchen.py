"""The restaurant's screen from end to end, and the order service beside a Redis that dies and an archive that is asked.

Real processes: orders, payments, router, the gateway's WebSockets; real Postgres, Kafka, and a Redis of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import grpc.aio
import httpx
import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from deploy.stack.servers import redis as redis_server
from deploy.stack.stack import LocalStack
from node.clock import SystemClock
from node.tokens import TokenSigner, create_keys
from orders.archive.archiver import Archiver
from orders.archive.files import ArchiveFiles
from orders.ids import order_id_at, point_of_user
from orders.model import UserId
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.orders.v1 import kitchen_pb2, orders_pb2
from proto.orders.v1.kitchen_pb2_grpc import KitchensStub
from proto.topics import CITY_EVENTS
from simulator.city.model import OrderId
from simulator.drive.customers import PlacedOrder
from simulator.drive.kitchens import Kitchens
from simulator.drive.tokens import Tokens
from tests.integration.gateway_world import free_port
from tests.integration.orders_world import CITY, OrdersWorld, orders_world, until
from tests.shared_log import readable

if TYPE_CHECKING:
    from proto.orders.v1.kitchen_pb2_grpc import KitchensAsyncStub

_DEADLINE_S = 30.0


@dataclass
class OwnRedis:
    """A Redis that may be killed and started again."""

    port: int
    folder: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        words = redis_server.Redis(redis_server.find(), self.port, self.folder).command().argv
        self.process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.DEVNULL)
        client = Redis(port=self.port)
        async with asyncio.timeout(_DEADLINE_S):
            while True:
                with suppress(RedisError, OSError):
                    if await client.ping():
                        break
                await asyncio.sleep(0.02)
        await client.aclose()

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()


@dataclass
class KitchenWorld:
    """The services, the screen's address, and tokens for it."""

    orders: OrdersWorld
    kitchens: KitchensAsyncStub
    live_url: str
    signer: TokenSigner
    redis: OwnRedis
    archive: Path

    def screen(self, restaurant: str = "r-1", path: str = "", since: str = "") -> connect:
        """A screen of the restaurant."""
        token = self.signer.sign("restaurant", restaurant, ttl_s=600, city=CITY)
        return connect(f"{self.live_url}/v1/live/kitchens/{path or restaurant}?token={token}{since}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KitchenWorld]:
    """A city whose kitchens are asked."""
    folder = tmp_path_factory.mktemp("kitchen")
    own = OwnRedis(free_port(), folder)
    await own.start()
    key, jwks, archive, port = folder / "key.pem", folder / "jwks.json", folder / "archive", free_port()
    create_keys(key, jwks)
    settings = {
        "FORNO_REDIS_URL": f"redis://127.0.0.1:{own.port}/0",
        "FORNO_KITCHENS_ASKED": CITY,
        "FORNO_ARCHIVE_URL": str(archive),
    }
    async with orders_world(stack, folder, settings) as orders:
        env = dict(orders.orders_process.env) | {
            "FORNO_ORDERS_ADDRESS": orders.orders_process.listen,
            "FORNO_JWT_JWKS_FILE": str(jwks),
            "FORNO_LISTEN": f"127.0.0.1:{port}",
        }
        live = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.live.main", env={**os.environ, **env}
        )
        try:
            await until(lambda: healthy(port), bool, "the WebSockets' process serves")
            async with grpc.aio.insecure_channel(orders.orders_process.listen) as channel:
                url = f"ws://127.0.0.1:{port}"
                yield KitchenWorld(orders, KitchensStub(channel), url, TokenSigner(key), own, archive)
        finally:
            live.terminate()
            await live.wait()
    await own.kill()


async def healthy(port: int) -> bool:
    """Whether the process serves."""
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        except httpx.TransportError:
            return False


async def heard(screen: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a kind."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            frame: dict[str, Any] = json.loads(await screen.recv())
            if frame["type"] == kind:
                return frame


async def said(screen: ClientConnection, command_id: str, **command: object) -> dict[str, Any]:
    """The answer to a command."""
    await screen.send(json.dumps({"id": command_id, **command}))
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            frame: dict[str, Any] = json.loads(await screen.recv())
            if frame.get("id") == command_id:
                return frame


async def ticket_of(screen: ClientConnection, order_id: str, status: str) -> dict[str, Any]:
    """The order's ticket, once the screen shows it in that status."""
    while True:
        news = await heard(screen, "tickets")
        for ticket in news["changed"]:
            if (ticket["order_id"], ticket["status"]) == (order_id, status):
                found: dict[str, Any] = ticket
                return found


async def test_a_kitchen_takes_an_order_and_says_when_it_is_ready(world: KitchenWorld) -> None:
    """Two screens, one answer; dispatch hears when to come; a screen that was cut off goes on where it was."""
    async with world.screen() as screen, world.screen() as other:
        snapshot = await heard(screen, "snapshot")
        assert (snapshot["tickets"], snapshot["auto_accept"]) == ([], False)
        order = await world.orders.place()
        ticket = await ticket_of(screen, order.order_id, "authorised")
        assert ticket["items"] == [{"name": "Margherita", "quantity": 2}]
        assert not {"user_id", "dropoff", "price"} & ticket.keys()

        answer = await said(screen, "1", type="accept", order_id=order.order_id, seconds=900)
        assert (answer["type"], answer["changed"]) == ("done", True)
        again = await said(screen, "2", type="accept", order_id=order.order_id, seconds=60)
        assert (again["type"], again["changed"]) == ("done", False)
        assert again["ticket"]["ready_ms"] == answer["ticket"]["ready_ms"]
        await ticket_of(other, order.order_id, "accepted")

    accepted = await world.orders.until_status(order.order_id, "ACCEPTED")
    async with world.screen(since=f"&epoch={snapshot['epoch']}&seq={snapshot['seq']}") as screen:
        missed = [json.loads(await screen.recv())]
        while missed[-1]["type"] != "resumed":
            missed.append(json.loads(await screen.recv()))
        statuses = [ticket["status"] for frame in missed[:-1] for ticket in frame["changed"]]
        assert statuses[-1] == "accepted"
        ready = await said(screen, "3", type="ready", order_id=order.order_id)
        assert ready["ticket"]["cooked_ms"] == ready["ticket"]["ready_ms"]

    told = await until(lambda: world.orders.city_events(order.order_id), lambda events: len(events) >= 1, "opened")
    assert told[0].order_opened.ready_ms == accepted.ready_ms
    events = await until(lambda: ready_times(world, order.order_id), bool, "dispatch hears that it is ready")
    assert events == [ready["ticket"]["ready_ms"]]
    await world.orders.deliver(order.order_id)
    await world.orders.until_status(order.order_id, "COMPLETED")


async def ready_times(world: KitchenWorld, order_id: str) -> list[int]:
    """When dispatch was told that the order is ready."""
    events = readable(CityEvent, await world.orders.messages(CITY_EVENTS.name))
    return [event.order_ready.ready_ms for event in events if event.order_ready.order_id == order_id]


async def test_what_a_kitchen_does_not_take_costs_nothing(world: KitchenWorld) -> None:
    """Rejected: cancelled, the money let go. Nonsense and other people's orders are refused by name."""
    order = await world.orders.place()
    await world.orders.until_status(order.order_id, "AUTHORISED")
    async with world.screen() as screen, world.screen("r-2") as stranger:
        refused = await said(stranger, "1", type="accept", order_id=order.order_id)
        assert (refused["type"], refused["reason"]) == ("refused", "UNKNOWN_ORDER")
        nonsense = await said(screen, "2", type="accept", order_id="no-id")
        assert (nonsense["reason"], nonsense["field"]) == ("BAD_ORDER_ID", "order_id")
        early = await said(screen, "3", type="ready", order_id=order.order_id)
        assert (early["type"], early["reason"]) == ("refused", "TRANSITION_REFUSED")
        done = await said(screen, "4", type="reject", order_id=order.order_id, reason="no dough")
        assert done["ticket"]["status"] == "cancelled"
    await world.orders.until_payment(order.order_id, "VOIDED")
    final = await world.orders.order(order.order_id)
    assert final.history[-1].reason == "kitchen: no dough"


async def test_a_token_opens_one_kitchen(world: KitchenWorld) -> None:
    """Another restaurant's screen is closed with 4403; without a token with 4401."""
    async with world.screen("r-2", path="r-1") as screen:
        with suppress(ConnectionClosed):
            await screen.recv()
        assert screen.close_code == 4403
    async with connect(f"{world.live_url}/v1/live/kitchens/r-1") as screen:
        with suppress(ConnectionClosed):
            await screen.recv()
        assert screen.close_code == 4401


async def test_orders_go_on_while_redis_is_dead(world: KitchenWorld) -> None:
    """Reads, places and cancels before, during and after; never an order as it was before its last change."""
    await world.kitchens.Configure(
        kitchen_pb2.ConfigureRequest(city=CITY, restaurant_id="r-1", auto_accept=True), timeout=_DEADLINE_S
    )
    first, second = await world.orders.place(), await world.orders.place(user="ben")
    for order in (first, second):
        await world.orders.until_status(order.order_id, "ACCEPTED")
    await world.redis.kill()
    await cancel(world, first.order_id, "ana")
    assert (await world.orders.order(first.order_id)).status == orders_pb2.ORDER_STATUS_CANCELLED
    third = await world.orders.place()
    await world.orders.until_status(third.order_id, "ACCEPTED")
    await world.redis.start()
    await cancel(world, second.order_id, "ben")
    assert (await world.orders.order(second.order_id)).status == orders_pb2.ORDER_STATUS_CANCELLED


async def cancel(world: KitchenWorld, order_id: str, user: str) -> None:
    """The customer cancels."""
    await world.orders.orders.Cancel(orders_pb2.CancelRequest(order_id=order_id, user_id=user), timeout=_DEADLINE_S)


async def test_an_archived_order_is_got_and_listed(world: KitchenWorld) -> None:
    """Its row is gone; the service finds it in the archive, by id and in the customer's list, after the newer one."""
    user = UserId("zoe")
    at_ms = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp() * 1000)
    old = order_id_at(at_ms, point_of_user(user), 5)
    new = await world.orders.place(user=user)
    name = "orders_0" if int(old[-4:], 16) < 1 << 15 else "orders_1"
    connection = await asyncpg.connect(world.orders.databases[name])
    await connection.execute("select make_partition('2026-01-01')")
    await connection.execute(Path(__file__).with_name("orders_final.sql").read_text(), [old], [user])
    database = await connection.fetchval("select current_database()")
    archiver = Archiver(
        database, world.orders.databases[name], ArchiveFiles.at(str(world.archive)), structlog.get_logger()
    )
    await archiver.archive(datetime(2026, 5, 1, tzinfo=UTC))
    assert await connection.fetchval("select count(*) from orders where order_id = $1", old) == 0
    await connection.close()

    assert (await world.orders.order(old)).status == orders_pb2.ORDER_STATUS_COMPLETED
    assert await listed(world, user) == [new.order_id, old]


async def listed(world: KitchenWorld, user: UserId) -> list[str]:
    """All orders of a customer, page by page: rows first, then the archive."""
    request, found = orders_pb2.ListRequest(user_id=user), list[str]()
    while True:
        page = await world.orders.orders.List(request, timeout=_DEADLINE_S)
        found += [order.order_id for order in page.orders]
        if not page.next_cursor:
            return found
        request.cursor = page.next_cursor


async def test_a_simulated_kitchen_presses_ready_on_the_real_screen(world: KitchenWorld) -> None:
    """The demo's kitchen, through the public WebSocket: pressed too early it is pressed again, then dispatch knows."""
    choice = kitchen_pb2.ConfigureRequest(city=CITY, restaurant_id="r-1", auto_accept=False)
    await world.kitchens.Configure(choice, timeout=_DEADLINE_S)
    clock = SystemClock()
    kitchens = Kitchens(clock, Tokens(world.signer), frozenset({"r-1"}))
    order = await world.orders.place()
    await world.orders.until_status(order.order_id, "AUTHORISED")
    live_url = f"{world.live_url}/v1/live/orders/{order.order_id}"
    kitchens.expect(PlacedOrder(OrderId(order.order_id), CITY, live_url, "", "r-1", clock.domain_ms()))
    async with world.screen() as screen:
        await heard(screen, "snapshot")
        await said(screen, "1", type="accept", order_id=order.order_id)
    await until(lambda: ready_times(world, order.order_id), bool, "the kitchen pressed Ready")
    assert kitchens.ready == 1
    await kitchens.close()
