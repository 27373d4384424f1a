"""Orders and payments from end to end: real processes, real Postgres, real Kafka."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.stack.stack import LocalStack
from node.rpc import CallFault, fault_of
from orders.ids import MAX_MS, order_id_at
from proto.common.v1.types_pb2 import Money
from proto.orders.v1 import orders_pb2 as pb
from proto.payments.v1 import payments_pb2 as payments_pb
from proto.topics import CITY_EVENTS
from tests.integration.orders_world import ORDER_TOPIC, PAYMENT_TOPIC, OrdersWorld, basket, orders_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrdersWorld]:
    """Orders and payments for the tests of this file; no test may kill them."""
    async with orders_world(stack, tmp_path_factory.mktemp("orders")) as running:
        yield running


async def test_an_order_goes_all_the_way(world: OrdersWorld) -> None:
    """Placed, authorised, accepted and opened in the city's log, delivered, captured, completed."""
    order = await world.place()
    assert order.status == pb.ORDER_STATUS_PLACED
    assert order.price.total.minor == 2 * 4500 + 1490 + 350 + 500
    accepted = await world.until_status(order.order_id, "ACCEPTED")
    assert accepted.ready_ms == accepted.history[-1].at_ms + 600_000
    await world.deliver(order.order_id)
    done = await world.until_status(order.order_id, "COMPLETED")
    assert [pb.OrderStatus.Name(line.status)[13:] for line in done.history] == [
        "PLACED", "AUTHORISED", "ACCEPTED", "ASSIGNED", "PICKED_UP", "DELIVERED", "COMPLETED",
    ]  # fmt: skip
    assert done.rider_id == 7
    payment = await world.until_payment(order.order_id, "CAPTURED")
    assert payment.amount == order.price.total
    events = await world.city_events(order.order_id)
    assert {event.order_opened.order_id for event in events} == {order.order_id}
    assert events[0].order_opened.ready_ms == accepted.ready_ms
    assert events[0].order_opened.promised_ms == order.promised_ms
    assert basket().items[0].quantity == events[0].order_opened.items


async def test_a_declined_payment_ends_the_order(world: OrdersWorld) -> None:
    """The provider's word is in the history; no money is posted, dispatch never hears of it."""
    order = await world.place(token="tok_declined")
    declined = await world.until_status(order.order_id, "DECLINED")
    assert declined.history[-1].reason == "insufficient_funds"
    await world.until_payment(order.order_id, "DECLINED")
    assert await world.fetch("payments", "select * from ledger where order_id = $1", order.order_id) == []
    assert await world.city_events(order.order_id) == []


async def test_a_cancelled_order_is_voided_and_withdrawn(world: OrdersWorld) -> None:
    """Cancelled while a rider is on the way: the hold is given up and dispatch told, after it was told to open it."""
    order = await world.place()
    await world.until_status(order.order_id, "ACCEPTED")
    await world.tell(world.next_event(order.order_id, "assigned", rider_id=3, eta_ms=1))
    await world.until_status(order.order_id, "ASSIGNED")
    request = pb.CancelRequest(order_id=order.order_id, user_id="ana", reason="no longer hungry")
    assert (await world.orders.Cancel(request)).order.status == pb.ORDER_STATUS_CANCELLED
    await world.until_payment(order.order_id, "VOIDED")
    assert (await world.orders.Cancel(request)).order.status == pb.ORDER_STATUS_CANCELLED
    # What the rider did meanwhile comes too late and changes nothing.
    await world.tell(
        world.next_event(order.order_id, "picked_up", rider_id=3), world.next_event(order.order_id, "delivered")
    )
    other = await world.place()
    await world.until_status(other.order_id, "ACCEPTED")
    assert (await world.order(order.order_id)).status == pb.ORDER_STATUS_CANCELLED
    events = await world.city_events(order.order_id)
    assert [event.WhichOneof("kind") for event in events] == ["order_opened", "order_cancelled"]


async def test_an_order_nobody_can_carry_costs_nothing(world: OrdersWorld) -> None:
    """Dispatch's failure fails the order and voids the payment."""
    order = await world.place()
    await world.until_status(order.order_id, "ACCEPTED")
    await world.tell(world.next_event(order.order_id, "failed", reason="no_riders"))
    failed = await world.until_status(order.order_id, "FAILED")
    assert failed.history[-1].reason == "no_riders"
    await world.until_payment(order.order_id, "VOIDED")


async def test_a_rider_who_has_the_food_cannot_be_called_back(world: OrdersWorld) -> None:
    """Cancel is refused with the state, as a failed precondition."""
    order = await world.place()
    await world.until_status(order.order_id, "ACCEPTED")
    await world.tell(
        world.next_event(order.order_id, "assigned", rider_id=3),
        world.next_event(order.order_id, "picked_up", rider_id=3),
    )
    await world.until_status(order.order_id, "PICKED_UP")
    fault = await refused(world.orders.Cancel(pb.CancelRequest(order_id=order.order_id, user_id="ana")))
    assert (fault.code, fault.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRANSITION_REFUSED")
    assert "PICKED_UP" in fault.message
    await world.tell(world.next_event(order.order_id, "delivered"))
    await world.until_status(order.order_id, "COMPLETED")


async def test_events_that_come_twice_late_or_in_disorder_count_once(world: OrdersWorld) -> None:
    """Dispatch's relay stuttered: the order is completed by each event once, in the order of versions."""
    order = await world.place()
    await world.until_status(order.order_id, "ACCEPTED")
    assigned, eta, picked_up, delivered = (
        world.next_event(order.order_id, "assigned", rider_id=5),
        world.next_event(order.order_id, "eta_changed", eta_ms=9_000),
        world.next_event(order.order_id, "picked_up", rider_id=5),
        world.next_event(order.order_id, "delivered", rider_id=5),
    )
    await world.tell(picked_up, assigned, assigned, delivered, picked_up, eta, eta, delivered, assigned)
    done = await world.until_status(order.order_id, "COMPLETED")
    assert len(done.history) == 7
    assert done.eta_ms == 9_000
    postings = await world.fetch("payments", "select distinct key from ledger where order_id = $1", order.order_id)
    assert len(postings) == 2


@pytest.mark.parametrize("token", ["tok_slow", "tok_duplicate", "tok_lost"])
async def test_a_provider_that_misbehaves_moves_money_once(world: OrdersWorld, token: str) -> None:
    """Slow, repeated and lost answers: authorised once, captured once, for the right amount."""
    order = await world.place(token=token)
    await world.until_status(order.order_id, "ACCEPTED")
    await world.deliver(order.order_id)
    await world.until_status(order.order_id, "COMPLETED")
    payment = await world.until_payment(order.order_id, "CAPTURED")
    charges = await world.fetch(
        "payments", "select * from local_provider.charges where provider_ref = $1", payment.provider_ref
    )
    assert [(row["amount_minor"], row["state"]) for row in charges] == [(order.price.total.minor, "CAPTURED")]


async def refused(call: Awaitable[object]) -> CallFault:
    """What a call that fails says."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return fault_of(error.value)


async def test_a_key_with_another_body_is_a_conflict(world: OrdersWorld) -> None:
    """The same key and body replays the order, another body is ALREADY_EXISTS and places nothing."""
    request = pb.PlaceRequest(user_id="ben", idempotency_key="the-key-of-ben", basket=basket(), payment_token="tok_ok")
    first, again = await world.orders.Place(request), await world.orders.Place(request)
    assert (first.replayed, again.replayed, again.order.order_id) == (False, True, first.order.order_id)
    request.basket.items[0].quantity = 3
    fault = await refused(world.orders.Place(request))
    assert (fault.code, fault.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT")
    listed = await world.orders.List(pb.ListRequest(user_id="ben"))
    assert [order.order_id for order in listed.orders] == [first.order.order_id]


def _unknown_city(request: pb.PlaceRequest) -> None:
    request.basket.city = "atlantis"


def _negative(request: pb.PlaceRequest) -> None:
    request.basket.items[0].quantity = -1


def _dollars(request: pb.PlaceRequest) -> None:
    request.basket.items[0].price.currency = "USD"


def _euro_tip(request: pb.PlaceRequest) -> None:
    request.basket.tip.currency = "EUR"


def _nowhere(request: pb.PlaceRequest) -> None:
    request.basket.dropoff.lat_e7 = 2_000_000_000


def _far_away(request: pb.PlaceRequest) -> None:
    for at in (request.basket.restaurant.at, request.basket.dropoff):
        at.lat_e7 += 90_000_000


def _no_key(request: pb.PlaceRequest) -> None:
    request.idempotency_key = ""


def _too_many(request: pb.PlaceRequest) -> None:
    request.basket.items.extend([request.basket.items[0]] * 100)


def _nothing(request: pb.PlaceRequest) -> None:
    request.ClearField("basket")


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_unknown_city, "city"),
        (_negative, "items[0].quantity"),
        (_dollars, "items[0].price"),
        (_euro_tip, "tip"),
        (_nowhere, "dropoff.lat_e7"),
        (_far_away, "restaurant.at"),
        (_no_key, "idempotency_key"),
        (_too_many, "items"),
        (_nothing, "city"),
    ],
)
async def test_bad_input_names_its_field_and_leaves_no_trace(
    world: OrdersWorld, spoil: Callable[[pb.PlaceRequest], None], field: str
) -> None:
    """INVALID_ARGUMENT with the field; no order, no key, no event."""
    user = f"careless-{field}"
    request = pb.PlaceRequest(user_id=user, idempotency_key="careless-1", basket=basket(), payment_token="tok_ok")
    spoil(request)
    fault = await refused(world.orders.Place(request))
    assert (fault.code, fault.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)
    for database in ("orders_0", "orders_1"):
        assert await world.fetch(database, "select from orders where user_id = $1", user) == []
        assert await world.fetch(database, "select from idempotency_keys where user_id = $1", user) == []


async def test_users_orders_are_on_both_databases_and_found_by_id_alone(world: OrdersWorld) -> None:
    """Twenty users fill both shards; every order is found by its id, and listed for its user only."""
    placed = [await world.place(user=f"customer-{number}") for number in range(20)]
    for order in placed:
        assert (await world.order(order.order_id)).user_id == order.user_id
        listed = await world.orders.List(pb.ListRequest(user_id=order.user_id))
        assert [found.order_id for found in listed.orders] == [order.order_id]
    for database in ("orders_0", "orders_1"):
        (row,) = await world.fetch(database, "select count(*) from orders where user_id like 'customer-%'")
        assert 0 < row["count"] < 20


async def test_a_quote_without_dispatch_has_a_price_and_no_eta(world: OrdersWorld) -> None:
    """No shard runs here: the price is the one that will be paid, the ETA unknown."""
    quote = await world.orders.Quote(pb.QuoteRequest(user_id="ana", basket=basket()))
    assert quote.price == (await world.place()).price
    assert (quote.eta_ms, quote.eta_p90_ms) == (0, 0)


CARD = "4242424242424242"
CARDS = (
    CARD,
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "card:4242424242424242",
    "5555555555554444",
    "378282246310005",
)


async def everything_written(world: OrdersWorld) -> list[bytes]:
    """Every row of every table, every event and every line of the logs."""
    seen = [
        payload for topic in (ORDER_TOPIC, PAYMENT_TOPIC, CITY_EVENTS.name) for payload in await world.messages(topic)
    ]
    seen += [process.log.read_bytes() for process in (world.orders_process, world.payments_process)]
    for database in world.databases:
        tables = await world.fetch(
            database, "select format('%I.%I', schemaname, tablename) as name from pg_tables"
            " where schemaname in ('public', 'local_provider')",
        )  # fmt: skip
        for table in tables:
            rows = await world.fetch(database, f"select row_to_json(t)::text as row from {table['name']} t")
            seen += [row["row"].encode() for row in rows]
    return seen


TEXTS_OF_AN_ORDER: dict[str, Callable[[pb.PlaceRequest, str], None]] = {
    "user_id": lambda request, card: setattr(request, "user_id", card),
    "idempotency_key": lambda request, card: setattr(request, "idempotency_key", f"order/{card}/1"),
    "payment_token": lambda request, card: setattr(request, "payment_token", card),
    "restaurant.restaurant_id": lambda request, card: setattr(request.basket.restaurant, "restaurant_id", card),
    "restaurant.name": lambda request, card: setattr(request.basket.restaurant, "name", f"Pizza {card}"),
    "items[0].sku": lambda request, card: setattr(request.basket.items[0], "sku", card),
    "items[0].name": lambda request, card: setattr(request.basket.items[0], "name", f"for {card}"),
}


def placed_with(world: OrdersWorld, spoil: Callable[[pb.PlaceRequest, str], None], card: str) -> Awaitable[object]:
    """An order with a card number in one of its texts."""
    request = pb.PlaceRequest(user_id="ana", idempotency_key="a-card-number", basket=basket(), payment_token="tok_ok")
    spoil(request, card)
    return world.orders.Place(request)


async def test_no_card_number_gets_anywhere(world: OrdersWorld) -> None:
    """Sent in any text of any call it is refused; no table, no topic and no log holds it after a whole run."""
    order = await world.place()
    await world.until_status(order.order_id, "ACCEPTED")
    calls: list[tuple[str, Callable[[str], Awaitable[object]]]] = [
        *((field, partial(placed_with, world, spoil)) for field, spoil in TEXTS_OF_AN_ORDER.items()),
        ("user_id", lambda card: world.orders.List(pb.ListRequest(user_id=card))),
        (
            "reason",
            lambda card: world.orders.Cancel(
                pb.CancelRequest(order_id=order.order_id, user_id="ana", reason=f"I paid with {card}")
            ),
        ),
        (
            "reason",
            lambda card: world.payments.Refund(
                payments_pb.RefundRequest(
                    order_id=order.order_id, idempotency_key="a-card-number", reason=f"back to {card}, please"
                )
            ),
        ),
    ]
    for field, call in calls:
        for card in CARDS:
            fault = await refused(call(card))
            assert (fault.field, fault.reason) == (field, "CARD_NUMBER")
            assert card not in fault.message
    await world.deliver(order.order_id)
    await world.until_status(order.order_id, "COMPLETED")
    seen = await everything_written(world)
    assert len(seen) > 10
    numbers = [re.sub("[^0-9]", "", card).encode() for card in CARDS] + [card.encode() for card in CARDS]
    assert not any(number in text or number.hex().encode() in text for text in seen for number in numbers)


UNPRINTABLE = st.text("a\x00\x07\u2028", min_size=1, max_size=8).filter(lambda text: not text.isprintable())
TEXTS = st.one_of(st.just(""), UNPRINTABLE, st.text("xyz", min_size=201, max_size=300))
ELSEWHERE = st.integers(-(2**31), 2**31 - 1).filter(lambda e7: abs(e7 + 712_500_000) > 10**7)
NO_SECONDS = st.one_of(st.integers(-(2**31), -1), st.integers(14_401, 2**31 - 1))
NO_QUANTITY = st.one_of(st.integers(-(2**31), 0), st.integers(100, 2**31 - 1))
CURRENCIES = st.sampled_from(["", "USD", "clp"])
FAR = st.one_of(st.integers(-(2**31), -900_000_001), st.integers(900_000_001, 2**31 - 1))
AMOUNTS = st.one_of(st.integers(-(2**63), -1), st.integers(10_000_000_001, 2**63 - 1))
TOO_LATE = st.integers(MAX_MS + 1, 2**48 - 1).map(lambda wall_ms: order_id_at(wall_ms, 7, 7))
IDS = st.one_of(st.text(max_size=40), st.uuids(version=4).map(str), TOO_LATE)


def spoilt(data: st.DataObject) -> pb.PlaceRequest:
    """A good request with one thing wrong."""
    request = pb.PlaceRequest(
        user_id="careless", idempotency_key=uuid.uuid4().hex, basket=basket(), payment_token="tok_ok"
    )
    wanted = request.basket
    draw = data.draw
    spoils: dict[str, Callable[[], object]] = {
        "user_id": lambda: setattr(request, "user_id", draw(TEXTS)),
        "idempotency_key": lambda: setattr(request, "idempotency_key", draw(st.text("ab c", max_size=7))),
        "payment_token": lambda: setattr(request, "payment_token", draw(st.sampled_from(["", "a b", "x" * 256, CARD]))),
        "city": lambda: setattr(wanted, "city", draw(st.sampled_from(["", "atlantis", "santiago", "La-Serena"]))),
        "restaurant_id": lambda: setattr(wanted.restaurant, "restaurant_id", draw(TEXTS)),
        "preparation": lambda: setattr(wanted.restaurant, "preparation_s", draw(NO_SECONDS)),
        "restaurant.at": lambda: setattr(wanted.restaurant.at, "lat_e7", draw(FAR)),
        "dropoff": lambda: setattr(wanted.dropoff, "lng_e7", draw(ELSEWHERE)),
        "no items": lambda: wanted.ClearField("items"),
        "too many items": lambda: wanted.items.extend([wanted.items[0]] * draw(st.integers(100, 120))),
        "quantity": lambda: setattr(wanted.items[0], "quantity", draw(NO_QUANTITY)),
        "sku": lambda: setattr(wanted.items[0], "sku", draw(TEXTS)),
        "price": lambda: setattr(wanted.items[0].price, "minor", draw(AMOUNTS)),
        "currency": lambda: setattr(wanted.items[0].price, "currency", draw(CURRENCIES)),
        "tip": lambda: setattr(wanted.tip, "minor", draw(AMOUNTS)),
        "tip currency": lambda: setattr(wanted.tip, "currency", draw(CURRENCIES)),
        "basket": lambda: request.ClearField("basket"),
    }
    spoils[draw(st.sampled_from(sorted(spoils)))]()
    return request


def strange_calls(world: OrdersWorld, data: st.DataObject) -> list[Awaitable[object]]:
    """Every other call with something wrong in it."""
    order_id, text = data.draw(IDS), data.draw(TEXTS.filter(bool))
    unknown = str(order_id_at(1_795_000_000_000, 7, data.draw(st.integers(0, 2**58 - 1))))
    limit = data.draw(st.one_of(st.integers(-(2**31), -1), st.integers(101, 2**31 - 1)))
    key, some = "a-good-key", Money(minor=data.draw(st.integers(-(2**63), 0)), currency="CLP")
    orders, payments = world.orders, world.payments
    return [
        orders.Get(pb.GetRequest(order_id=order_id)),
        orders.Get(pb.GetRequest(order_id=unknown)),
        orders.List(pb.ListRequest(user_id=text)),
        orders.List(pb.ListRequest(user_id="ana", cursor=order_id or "x")),
        orders.List(pb.ListRequest(user_id="ana", limit=limit)),
        orders.Cancel(pb.CancelRequest(order_id=order_id)),
        orders.Cancel(pb.CancelRequest(order_id=unknown, user_id="ana")),
        orders.Cancel(pb.CancelRequest(order_id=unknown, reason=text)),
        payments.Get(payments_pb.GetRequest(order_id=order_id)),
        payments.Get(payments_pb.GetRequest(order_id=unknown)),
        payments.Refund(payments_pb.RefundRequest(order_id=order_id, idempotency_key=key)),
        payments.Refund(payments_pb.RefundRequest(order_id=unknown, idempotency_key=key)),
        payments.Refund(payments_pb.RefundRequest(order_id=unknown, idempotency_key=text)),
        payments.Refund(payments_pb.RefundRequest(order_id=unknown, idempotency_key=key, amount=some)),
        payments.Refund(payments_pb.RefundRequest(order_id=unknown, idempotency_key=key, reason=text)),
    ]


TYPED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION)


async def rows(world: OrdersWorld) -> list[int]:
    """How many orders, keys and refunds there are, and how many events and payments of no order."""
    counts = []
    query = "select order_id as id from orders"
    orders = [row["id"] for name in ("orders_0", "orders_1") for row in await world.fetch(name, query)]
    for name in ("orders_0", "orders_1"):
        counts += [row["n"] for row in await world.fetch(name, "select count(*) as n from idempotency_keys")]
    for name in world.databases:
        query = "select count(*) as n from outbox where order_id <> all($1::uuid[])"
        counts += [row["n"] for row in await world.fetch(name, query, orders)]
    counts += [row["n"] for row in await world.fetch("payments", "select count(*) as n from refunds")]
    return [len(orders), *counts]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_bad_input_to_any_call_is_a_typed_error_and_leaves_no_trace(
    world: OrdersWorld, data: st.DataObject
) -> None:
    """Whatever is wrong: a status that says so, a reason, the field of bad input; no row, no event."""
    requests = [spoilt(data) for _ in range(12)]
    quotes = [
        pb.QuoteRequest(user_id="ana", basket=request.basket)
        for request in requests
        if not request.HasField("basket") or request.basket != basket()
    ]
    before = await rows(world)
    calls: list[Awaitable[object]] = [
        *map(world.orders.Place, requests),
        *map(world.orders.Quote, quotes),
        *strange_calls(world, data),
    ]
    for fault in await asyncio.gather(*map(refused, calls)):
        assert fault.code in TYPED, fault
        assert fault.reason
        assert bool(fault.field) == (fault.code is grpc.StatusCode.INVALID_ARGUMENT), fault
    assert await rows(world) == before
