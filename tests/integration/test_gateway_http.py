"""The HTTP edge through the real process: real Redis for the limits, real gRPC behind it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from node.tokens import TokenVerifier
from proto.common.v1.types_pb2 import Money
from proto.orders.v1 import orders_pb2
from tests.integration.gateway_world import CITY, GatewayWorld, gateway_world, order_body

_LIMIT_BURST = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayWorld]:
    """A gateway with built pages, a road map, and a limit that a test can reach."""
    folder = tmp_path_factory.mktemp("gateway")
    web = folder / "dist"
    (web / "assets").mkdir(parents=True)
    (web / "index.html").write_text("<!doctype html><title>Forno</title>")
    (web / "assets" / "index-abc.js").write_text("console.log(1)\n" * 200)
    roads = folder / "roads.geojson"
    roads.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    env = {
        "FORNO_WEB_DIR": str(web),
        "FORNO_ROADS_GEOJSON": str(roads),
        "FORNO_LIMIT_PER_S": "1",
        "FORNO_LIMIT_BURST": str(_LIMIT_BURST),
    }
    async with gateway_world(folder, stack.env["FORNO_REDIS_URL"], **env) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def client(world: GatewayWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=world.http_url) as client:
        yield client


@pytest.fixture
def ana(world: GatewayWorld) -> dict[str, str]:
    """Headers of a user nobody else uses, so that tests do not share a limit."""
    return world.user(f"ana-{uuid.uuid4().hex}")


def key() -> dict[str, str]:
    return {"idempotency-key": uuid.uuid4().hex}


def error(answer: httpx.Response) -> dict[str, Any]:
    """The error of an answer; checks that it has the one shape."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"reason", "message", "field"}
    found: dict[str, Any] = body["error"]
    return found


async def test_a_quote_says_what_and_when(client: httpx.AsyncClient, ana: dict[str, str]) -> None:
    """Money in minor units of the city's currency."""
    body = {name: value for name, value in order_body().items() if name != "payment_token"}
    answer = await client.post("/v1/quotes", json=body, headers=ana)
    assert answer.status_code == 200
    assert answer.json()["price"] == {
        "items_minor": 15980,
        "delivery_fee_minor": 1500,
        "tip_minor": 500,
        "tax_minor": 2618,
        "tax_included": True,
        "total_minor": 17980,
        "currency": "CLP",
    }


async def test_an_order_comes_with_the_means_to_watch_it(
    world: GatewayWorld, client: httpx.AsyncClient, ana: dict[str, str]
) -> None:
    """The tracking token opens this order, and its subject says so."""
    answer = await client.post("/v1/orders", json=order_body(), headers=ana | key())
    assert answer.status_code == 201
    placed = answer.json()
    order = placed["order"]
    assert (order["status"], order["city"], order["rider_assigned"]) == ("placed", CITY, False)
    assert order["dropoff"] == {"lat": -29.92, "lng": -71.26}
    assert placed["live_url"] == f"{world.live_url}/v1/live/orders/{order['order_id']}"
    assert placed["track_url"] == f"{world.http_url}/track/{order['order_id']}"
    tracking = {"authorization": f"Bearer {placed['tracking_token']}"}
    assert (await client.get(f"/v1/orders/{order['order_id']}", headers=tracking)).json()["order"] == order


async def test_the_same_key_gives_the_same_order_and_another_body_a_conflict(
    client: httpx.AsyncClient, ana: dict[str, str]
) -> None:
    """Trying again is safe; using a key for something else is told."""
    headers = ana | key()
    first = await client.post("/v1/orders", json=order_body(), headers=headers)
    again = await client.post("/v1/orders", json=order_body(), headers=headers)
    assert again.json()["order"]["order_id"] == first.json()["order"]["order_id"]
    other = await client.post("/v1/orders", json=order_body(tip_minor=1), headers=headers)
    assert (other.status_code, error(other)["reason"]) == (409, "IDEMPOTENCY_KEY_REUSED")


_NEGATIVE = [{"sku": "m", "name": "M", "quantity": -1, "price_minor": 1}]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"city": "atlantis"}, "city"),
        ({"items": _NEGATIVE}, "items[0].quantity"),
        ({"items": []}, "items"),
        ({"tip_minor": -5}, "tip_minor"),
        ({"tip_minor": 0.5}, "tip_minor"),
        ({"dropoff": {"lat": 91, "lng": 0}}, "dropoff.lat"),
        ({"dropoff": {"lat": "NaN", "lng": 0}}, "dropoff.lat"),
        ({"payment_token": ""}, "payment_token"),
        ({"card_number": "4242"}, "card_number"),
    ],
)
async def test_bad_input_names_its_field(
    client: httpx.AsyncClient, ana: dict[str, str], changes: dict[str, Any], field: str
) -> None:
    """400 with the path of the first field at fault."""
    answer = await client.post("/v1/orders", json=order_body(**changes), headers=ana | key())
    assert (answer.status_code, error(answer)["field"]) == (400, field)


async def test_what_is_no_order_at_all_is_refused(client: httpx.AsyncClient, ana: dict[str, str]) -> None:
    """No JSON, too much of it, no key."""
    broken = await client.post("/v1/orders", content=b"{", headers=ana | key())
    assert (broken.status_code, error(broken)["field"]) == (400, "body")
    huge = await client.post("/v1/orders", content=b" " * 70_000, headers=ana | key())
    assert (huge.status_code, error(huge)["reason"]) == (400, "BODY_TOO_LARGE")
    keyless = await client.post("/v1/orders", json=order_body(), headers=ana)
    assert (keyless.status_code, error(keyless)["field"]) == (400, "Idempotency-Key")


@pytest.mark.parametrize(
    ("authorization", "status", "reason"),
    [
        (None, 401, "TOKEN_MISSING"),
        ("Bearer nonsense", 401, "TOKEN_INVALID"),
        ("Basic YTpi", 401, "TOKEN_MISSING"),
        ("rider:17", 403, "FORBIDDEN"),
        ("order:x", 403, "FORBIDDEN"),
    ],
)
async def test_only_users_place_orders(
    world: GatewayWorld, client: httpx.AsyncClient, authorization: str | None, status: int, reason: str
) -> None:
    """401 without a valid token, 403 with one for something else."""
    headers = key()
    if authorization is not None and ":" in authorization:
        kind, _, name = authorization.partition(":")
        authorization = f"Bearer {world.signer.sign(kind, name, ttl_s=60)}"
    if authorization is not None:
        headers["authorization"] = authorization
    answer = await client.post("/v1/orders", json=order_body(), headers=headers)
    assert (answer.status_code, error(answer)["reason"]) == (status, reason)
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_another_user_s_order_does_not_exist(
    world: GatewayWorld, client: httpx.AsyncClient, ana: dict[str, str]
) -> None:
    """404, not 403: whether there is one is nobody's business."""
    order_id = (await client.post("/v1/orders", json=order_body(), headers=ana | key())).json()["order"]["order_id"]
    assert (await client.get(f"/v1/orders/{order_id}", headers=ana)).status_code == 200
    answer = await client.get(f"/v1/orders/{order_id}", headers=world.user("ben"))
    assert (answer.status_code, error(answer)["reason"]) == (404, "NOT_FOUND")


async def test_orders_are_listed_and_cancelled(client: httpx.AsyncClient, ana: dict[str, str]) -> None:
    """A list of one's own; a cancelled order says so."""
    order_id = (await client.post("/v1/orders", json=order_body(), headers=ana | key())).json()["order"]["order_id"]
    page = (await client.get("/v1/orders?limit=5", headers=ana)).json()
    assert ([order["order_id"] for order in page["orders"]], page["next_cursor"]) == ([order_id], None)
    cancelled = await client.post(f"/v1/orders/{order_id}/cancel", json={"reason": "not hungry"}, headers=ana)
    assert cancelled.json()["order"]["status"] == "cancelled"
    for limit in ("0", "101", "many"):
        answer = await client.get(f"/v1/orders?limit={limit}", headers=ana)
        assert (answer.status_code, error(answer)["field"]) == (400, "limit")


async def test_a_state_that_refuses_is_a_conflict(
    world: GatewayWorld, client: httpx.AsyncClient, ana: dict[str, str]
) -> None:
    """Too late to cancel: 409 with the service's own reason."""
    order_id = (await client.post("/v1/orders", json=order_body(), headers=ana | key())).json()["order"]["order_id"]
    world.orders.advance(order_id, orders_pb2.ORDER_STATUS_PICKED_UP)
    answer = await client.post(f"/v1/orders/{order_id}/cancel", json={}, headers=ana)
    assert (answer.status_code, error(answer)["reason"]) == (409, "TOO_LATE")


async def test_who_asks_too_often_is_told_when_to_come_back(client: httpx.AsyncClient, ana: dict[str, str]) -> None:
    """The burst passes, the next is 429 with Retry-After; health is never limited."""
    answers = [await client.get("/v1/orders", headers=ana) for _ in range(_LIMIT_BURST + 5)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert error(refused[0])["reason"] == "TOO_MANY_REQUESTS"
    assert int(refused[0].headers["retry-after"]) >= 1
    assert (await client.get("/healthz")).status_code == 200


async def test_cities_may_be_kept_and_revalidated(client: httpx.AsyncClient) -> None:
    """Borders and owners, with an ETag that saves sending them again."""
    answer = await client.get("/v1/cities")
    (city,) = answer.json()["cities"]
    assert (city["city"], city["shard_id"], city["epoch"], city["currency"]) == (CITY, "shard-1", 1, "CLP")
    assert city["polygon"]["type"] == "Polygon"
    assert "max-age" in answer.headers["cache-control"]
    again = await client.get("/v1/cities", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_pages_and_their_files_are_served(world: GatewayWorld, client: httpx.AsyncClient) -> None:
    """Pages are revalidated and may ask nobody else; assets are kept for good; both come compressed."""
    for path in ("/", "/track/0198c0de-0000-7000-8000-000000000001"):
        page = await client.get(path)
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-cache"
        assert f"connect-src 'self' {world.live_url}" in page.headers["content-security-policy"]
    asset = await client.get("/assets/index-abc.js")
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    plain = await client.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert plain.content == asset.content
    assert (await client.get("/assets/../../config.py")).status_code == 404
    roads = await client.get("/basemap/roads.geojson")
    assert roads.json()["type"] == "FeatureCollection"
    assert (await client.get("/v1/config")).json()["basemap"] is True


async def test_the_key_set_is_public(world: GatewayWorld, client: httpx.AsyncClient, tmp_path: Path) -> None:
    """Anybody can check our tokens with it."""
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes((await client.get("/.well-known/jwks.json")).content)
    token = world.signer.sign("user", "ana", ttl_s=60)
    assert TokenVerifier(jwks).verify(token).id == "ana"


async def test_the_api_describes_itself(client: httpx.AsyncClient) -> None:
    """Every endpoint is in the OpenAPI document, and every reference in it leads somewhere."""
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) >= {"/v1/quotes", "/v1/orders", "/v1/orders/{order_id}", "/v1/cities", "/healthz"}
    place = document["paths"]["/v1/orders"]["post"]
    assert {"201", "400", "401", "409", "429"} <= set(place["responses"])
    names = set(document["components"]["schemas"])
    text = json.dumps(document)
    assert {piece.split('"')[0] for piece in text.split("#/components/schemas/")[1:]} <= names


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/v1/orders", 405)])
async def test_what_is_not_there_is_said_in_the_same_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """Even for a path that is none."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    error(answer)


async def test_many_at_once_each_get_their_own(client: httpx.AsyncClient, world: GatewayWorld) -> None:
    """Fifty users order at the same time; no answer is mixed up."""

    async def one(name: str) -> tuple[str, str]:
        headers = world.user(name) | key()
        body = order_body(dropoff={"lat": -29.9 - int(name) / 1000, "lng": -71.26})
        answer = await client.post("/v1/orders", json=body, headers=headers)
        return name, str(round((-29.9 - answer.json()["order"]["dropoff"]["lat"]) * 1000))

    assert all(name == seen for name, seen in await asyncio.gather(*(one(str(number)) for number in range(50))))


async def test_the_customer_is_told_what_to_do_before_the_payment_is_authorised(
    world: GatewayWorld, client: httpx.AsyncClient
) -> None:
    """The action that orders tell, and what was given back, reach the customer; without an action it is null."""
    placed = await world.place(client)
    order_id = placed["order"]["order_id"]
    assert (placed["order"]["action_required"], placed["order"]["refunded_minor"]) == (None, 0)
    order = world.orders.orders[order_id]
    order.action_required.CopyFrom(orders_pb2.ActionRequired(kind="use_stripe_sdk", client_secret="pi_1_secret_2"))
    order.refunded.CopyFrom(Money(minor=700, currency="CLP"))
    told = (await client.get(f"/v1/orders/{order_id}", headers=world.user("ana"))).json()["order"]
    assert told["action_required"] == {
        "kind": "use_stripe_sdk",
        "client_secret": "pi_1_secret_2",
        "redirect_url": None,
    }
    assert told["refunded_minor"] == 700
