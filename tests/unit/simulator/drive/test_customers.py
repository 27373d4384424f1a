"""Customers against a gateway that fails now and then, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from node.clock import SystemClock
from node.tokens import TokenSigner, TokenVerifier, create_keys
from simulator.city.customers import OrderDraft
from simulator.city.kitchen import Pass
from simulator.city.menu import Item
from simulator.city.model import OrderId, Place, Restaurant, RestaurantId
from simulator.drive.customers import CustomerDriver, PlacedOrder
from simulator.drive.tokens import Tokens


def draft(number: int, token: str = "tok_ok") -> OrderDraft:
    """An order that is due at once; its food is ready at `number` seconds."""
    restaurant = Restaurant(RestaurantId("r1"), "Forno", Place(10_000_000, 20_000_000))
    items = (Item("m", "Margherita", 1, 7900),)
    return OrderDraft(0, f"key-{number}", "ana", restaurant, 60, Place(1, 2), items, 0, token, number * 1000)


@dataclass
class Orders:
    """These orders, then never again."""

    drafts: list[OrderDraft]

    def due_ms(self) -> int | None:
        return self.drafts[0].at_ms if self.drafts else None

    def order(self) -> OrderDraft:
        return self.drafts.pop(0)


@dataclass
class Gateway:
    """Answers with these statuses in turn, then 201; an order id for each idempotency key."""

    statuses: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)

    async def place(self, request: Request) -> Response:
        self.keys.append(request.headers["idempotency-key"])
        self.users.append(request.headers["authorization"])
        self.bodies.append(json.loads(await request.body()))
        status = self.statuses.pop(0) if self.statuses else 201
        if status != 201:
            return JSONResponse({"error": {"reason": "BAD_DAY", "message": ""}}, status)
        order_id = f"order of {self.keys[-1]}"
        return JSONResponse({"order": {"order_id": order_id}, "live_url": "ws://x/live", "tracking_token": "t"}, status)


class Ready(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[str]:
    """The gateway on a free port; its URL."""
    app = Starlette(routes=[Route("/v1/orders", gateway.place, methods=["POST"])])
    server = Ready(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve())
    await asyncio.wait_for(server.listening.wait(), 10)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def place_all(tmp_path: Path, gateway: Gateway, drafts: list[OrderDraft]) -> tuple[CustomerDriver, Pass]:
    """Drives these orders to their ends."""
    create_keys(tmp_path / "key.pem", tmp_path / "jwks.json")
    counter, placed = Pass(), list[PlacedOrder]()
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        tokens = Tokens(TokenSigner(tmp_path / "key.pem"))
        driver = CustomerDriver("la-serena", Orders(drafts), counter, http, tokens, SystemClock(), placed.append)
        await driver.run()
    assert len(placed) == driver.placed
    return driver, counter


async def test_an_order_is_placed_with_its_token_key_and_kitchen(tmp_path: Path) -> None:
    """The body is the public API's, the token is the user's, and the kitchen learns the order's id."""
    gateway = Gateway()
    driver, counter = await place_all(tmp_path, gateway, [draft(7)])
    subject = TokenVerifier(tmp_path / "jwks.json").verify_bearer(gateway.users[0])
    assert (driver.placed, subject.kind, subject.id) == (1, "user", "ana")
    assert gateway.bodies[0]["restaurant"] == {
        "restaurant_id": "r1", "name": "Forno", "lat": 1.0, "lng": 2.0, "preparation_s": 60
    }  # fmt: skip
    assert counter.ready_ms(OrderId("order of key-7"), 0) == 7000


async def test_what_may_pass_is_tried_again_with_the_same_key(tmp_path: Path) -> None:
    """A 503 and a 429 later the order stands, placed once."""
    gateway = Gateway(statuses=[503, 429])
    driver, _ = await place_all(tmp_path, gateway, [draft(1)])
    assert gateway.keys == ["key-1"] * 3
    assert (driver.placed, driver.refused) == (1, {})


async def test_what_is_wrong_is_not_tried_again(tmp_path: Path) -> None:
    """A 400 is counted by its reason, and the next customer orders."""
    gateway = Gateway(statuses=[400])
    driver, _ = await place_all(tmp_path, gateway, [draft(1), draft(2)])
    assert sorted(gateway.keys) == ["key-1", "key-2"]
    assert (driver.placed, driver.refused) == (1, {"BAD_DAY": 1})
