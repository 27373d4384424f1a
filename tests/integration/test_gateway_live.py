"""Live tracking through the real process, over real Redis and gRPC."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2
from proto.orders.v1 import orders_pb2
from tests.integration.gateway_world import CITY, NOW_MS, RIDER, GatewayWorld, gateway_world

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
    """The address at which the customer watches the order."""
    return f"{placed['live_url']}?token={placed['tracking_token']}{query}"


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of a kind; frames of other kinds are skipped."""
    async with asyncio.timeout(_DEADLINE_S):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["type"] == kind:
                return frame


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason with which the server closes."""
    async with asyncio.timeout(_DEADLINE_S):
        with suppress(ConnectionClosed):
            async for _ in socket:
                pass
    return socket.close_code, socket.close_reason


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


async def test_a_watcher_who_was_cut_off_resumes(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """With the epoch and seq it had, it gets what it missed and no snapshot."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    async with connect(url(placed)) as socket:
        snapshot = await heard(socket, "snapshot")
    world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_ASSIGNED, rider_id=RIDER)
    async with (
        connect(url(placed)) as other,
        connect(url(placed, f"&epoch={snapshot['epoch']}&seq={snapshot['seq']}")) as socket,
    ):
        assert (await heard(other, "snapshot"))["status"] == "assigned"
        first = json.loads(await socket.recv())
        assert (first["type"], first["status"]) == ("status", "assigned")
        assert (await heard(socket, "resumed"))["seq"] == 2


async def test_an_order_that_dispatch_never_hears_of_is_followed_too(
    world: GatewayWorld, client: httpx.AsyncClient
) -> None:
    """A declined payment reaches the watcher from the orders service."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    del world.dispatch.tracks[order_id]
    async with connect(url(placed)) as socket:
        await heard(socket, "snapshot")
        world.orders.advance(order_id, orders_pb2.ORDER_STATUS_DECLINED)
        assert (await heard(socket, "status"))["status"] == "declined"
        assert await closed(socket) == (1000, "declined")


async def test_an_order_that_is_over_is_told_and_closed(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """The link of yesterday's order still says how it ended, and nothing of the rider."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_DELIVERED, rider_id=RIDER)
    async with connect(url(placed)) as socket:
        snapshot = await heard(socket, "snapshot")
        assert (snapshot["status"], snapshot["rider"]) == ("delivered", None)
        assert await closed(socket) == (1000, "delivered")


async def test_positions_of_an_old_owner_and_old_fixes_are_dropped(
    world: GatewayWorld, client: httpx.AsyncClient
) -> None:
    """Only the newest goes out, whatever was published around it."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_PICKED_UP, rider_id=RIDER)
    world.dispatch.epoch = 2
    async with connect(url(placed)) as socket:
        await heard(socket, "snapshot")
        await world.subscribed()
        await world.move(order_id, 5, picked_up=True, lat_e7=-290_000_005)
        await world.move(order_id, 4, picked_up=True, lat_e7=-290_000_004)
        await world.move(order_id, 9, picked_up=True, lat_e7=-290_000_009, epoch=1)
        await world.move(order_id, 6, picked_up=True, lat_e7=-290_000_006)
        shown = [(await heard(socket, "position"))["lat"] for _ in range(2)]
        assert shown == [-29.0000005, -29.0000006]


async def test_a_lost_subscription_is_only_a_pause(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """Redis throws its subscribers out; the watcher's socket stays, and news comes again."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    async with connect(url(placed)) as socket:
        await heard(socket, "snapshot")
        await world.redis.client_kill_filter(_type="pubsub")
        world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_PICKED_UP, rider_id=RIDER)
        assert (await heard(socket, "status"))["status"] == "picked_up"
        await world.subscribed()
        await world.move(order_id, 1, picked_up=True, lat_e7=-290_000_001)
        assert (await heard(socket, "position"))["lat"] == -29.0000001


async def test_a_reader_that_stands_still_costs_little_and_wakes_to_the_newest(
    world: GatewayWorld, client: httpx.AsyncClient
) -> None:
    """20,000 positions later: memory has not grown by them, and what arrives ends with the last one."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    world.dispatch.advance(order_id, dispatch_pb2.ORDER_STATE_PICKED_UP, rider_id=RIDER)
    small = sockets.socket()
    small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", int(world.live_url.rpartition(":")[2])))
    async with connect(url(placed), sock=small, max_queue=1, ping_interval=None) as socket:
        await heard(socket, "snapshot")
        await world.subscribed()
        before_kb = world.live_rss_kb()
        last = 20_000
        for first in range(1, last, 500):
            async with world.redis.pipeline(transaction=False) as pipe:
                for seq in range(first, first + 500):
                    message = world.position(order_id, seq, picked_up=True, lat_e7=-290_000_000 - seq)
                    pipe.publish(f"live:{CITY}", message)
                await pipe.execute()
        async with connect(url(placed)) as fresh:  # may come before the process has read them all
            newest = (await heard(fresh, "snapshot"))["rider"]
            while newest["ts_ms"] != NOW_MS + last * 1000:
                newest = await heard(fresh, "position")
        assert world.live_rss_kb() - before_kb < 4096
        frames = 1
        while (await heard(socket, "position"))["lat"] != -29 - last / 1e7:
            frames += 1
        assert frames < 2000


@pytest.mark.parametrize(
    ("token", "path", "code"),
    [
        ("", "orders/{order}", 4401),
        ("not-a-token", "orders/{order}", 4401),
        ("order:another", "orders/{order}", 4403),
        ("rider:17", "orders/{order}", 4403),
        ("user:somebody", "orders/{order}", 4404),
        ("user:ana", "orders/00000000-0000-0000-0000-000000000000", 4404),
        ("user:ana", "ops", 4403),
        ("order:{order}", "ops", 4403),
    ],
)
async def test_who_may_not_watch_is_told_why(
    world: GatewayWorld, client: httpx.AsyncClient, token: str, path: str, code: int
) -> None:
    """Refusals are close codes that a page can read: 4000 + the HTTP status."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    kind, colon, name = token.format(order=order_id).partition(":")
    signed = world.signer.sign(kind, name, ttl_s=60) if colon else token
    async with connect(f"{world.live_url}/v1/live/{path.format(order=order_id)}?token={signed}") as socket:
        assert (await closed(socket))[0] == code


@pytest.mark.parametrize(
    "query",
    ["seq=" + "9" * 5000, "epoch=-1", "seq=1.5", "seq=\u0663"],
    ids=["endless", "negative", "broken", "arabic"],
)
async def test_a_point_to_resume_from_that_is_no_number_is_refused(
    world: GatewayWorld, client: httpx.AsyncClient, query: str
) -> None:
    """4400 with the name of the field; before any look at the order."""
    placed = await world.place(client)
    async with connect(url(placed, "&" + quote(query, safe="=&"))) as socket:
        code, reason = await closed(socket)
    assert code == 4400
    assert reason is not None
    assert "at most 19 digits" in reason


async def test_a_user_watches_their_own_order(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """The user's own token does as well as the tracking token."""
    placed = await world.place(client, "ana")
    token = world.signer.sign("user", "ana", ttl_s=60)
    async with connect(f"{placed['live_url']}?token={token}") as socket:
        assert (await heard(socket, "snapshot"))["order_id"] == placed["order"]["order_id"]


async def test_one_token_holds_only_so_many_sockets(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """The one too many is refused; when another leaves there is room again."""
    placed = await world.place(client)
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connect(url(placed))) for _ in range(20)]
        for socket in held:
            await heard(socket, "snapshot")
        async with connect(url(placed)) as one_too_many:
            assert (await closed(one_too_many))[0] == 4429
        await held[0].close()
        async with connect(url(placed)) as socket:
            await heard(socket, "snapshot")


async def test_a_watcher_that_chatters_is_shown_out(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """Nothing that a watcher sends is of use; much of it ends the socket."""
    placed = await world.place(client)
    async with connect(url(placed)) as socket:
        with suppress(ConnectionClosed):
            for _ in range(100):
                await socket.send("hello")
        assert (await closed(socket))[0] == 1008


async def test_operators_see_the_city_and_its_owner(world: GatewayWorld) -> None:
    """Hello with the map, whole frames of the city, statistics; rider ids survive as strings."""
    token = world.signer.sign("ops", "me", ttl_s=60)
    async with connect(f"{world.live_url}/v1/live/ops?token={token}") as socket:
        hello = await heard(socket, "hello")
        assert hello["cities"] == [{"city": CITY, "shard_id": "shard-1", "epoch": 1, "moving_to": None}]
        city = await heard(socket, "city")
        assert city["riders"]["id"] == [str(RIDER)]
        assert city["riders"]["lat_e7"] == [-299_000_000]
        assert city["counters"]["tick_p50_ms"] == 3.5
        assert (await heard(socket, "stats"))["viewers"] == 1


async def test_operators_see_riders_move_between_whole_frames(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """A published position reaches the ops page as it is."""
    placed = await world.place(client)
    token = world.signer.sign("ops", "me", ttl_s=60)
    async with connect(f"{world.live_url}/v1/live/ops?token={token}") as socket:
        await heard(socket, "city")
        await world.subscribed()
        await world.move(placed["order"]["order_id"], 3, picked_up=True, lat_e7=-290_000_003)
        assert (await heard(socket, "moves"))["moves"] == [[str(RIDER), -290_000_003, -712_500_000, NOW_MS + 3000]]


async def test_a_path_that_is_none_is_not_found(world: GatewayWorld) -> None:
    """Refused before the handshake, with an HTTP status."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{world.live_url}/v1/live/elsewhere")
    assert refused.value.response.status_code == 404


async def test_the_readme_s_snippet_works(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """It is run as it is printed."""
    readme = (Path(__file__).parents[2] / "gateway" / "README.md").read_text()
    snippet: dict[str, Any] = {}
    exec(readme.split("```python\n")[1].split("```")[0], snippet)
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    watching = asyncio.create_task(snippet["statuses"](placed["live_url"], placed["tracking_token"]))
    for state in (dispatch_pb2.ORDER_STATE_ASSIGNED, dispatch_pb2.ORDER_STATE_DELIVERED):
        asked = world.dispatch.asked
        async with asyncio.timeout(_DEADLINE_S):
            while world.dispatch.asked < asked + 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        world.dispatch.advance(order_id, state, rider_id=RIDER)
    async with asyncio.timeout(_DEADLINE_S):
        assert (await watching)[-2:] == ["assigned", "delivered"]
