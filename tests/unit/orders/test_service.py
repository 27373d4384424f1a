"""The order service: every input is checked before anything is written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.clock import ManualClock
from node.errors import FornoError, Invalid, Rejected, Retryable
from orders.call_limit import CallLimit
from orders.errors import UnknownOrder
from orders.ids import OrderIds
from orders.metrics import TURNED_AWAY
from orders.model import Basket, Item, Order, Position, Status
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.basket import MAX_LINES
from orders.ordering.errors import KeyReused, TransitionRefused
from orders.ordering.events import Change
from orders.ordering.grpc_api import OrdersApi
from orders.ordering.ports import Eta, ServedCity
from orders.ordering.service import OrderService
from proto.orders.v1 import orders_pb2 as pb
from shard_router.cities.catalogue import CityLookup, load_cities
from tests.unit.orders.kitchens import known_kitchens
from tests.unit.orders.worlds import FORNO, NOW_MS, TWO_PIZZAS, one_database, order_id, with_items

KEY = "key-00000001"
CITIES = CityLookup(load_cities())


class FarAway:
    """Dispatch, as it cannot be asked."""

    async def estimate(self, basket: Basket, ready_ms: int) -> Eta:
        """Nothing is known."""
        return Eta(0, 0)


def service_over_memory(clock: ManualClock | None = None) -> tuple[OrderService, MemoryOrders]:
    """A service over a store in memory."""
    clock = clock or ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    return OrderService(
        one_database(store), FarAway(), OrderIds(clock.wall_ms), clock, CITIES, known_kitchens(store, clock)
    ), store


async def test_a_quote_is_what_the_order_then_costs() -> None:
    """Quote and place agree; without dispatch the quote has no ETA and is given all the same."""
    service, _ = service_over_memory()
    price, eta = await service.quote(TWO_PIZZAS)
    placement = await service.place("ana", KEY, TWO_PIZZAS, "tok_ok")
    assert placement.order.price == price
    assert eta == Eta(0, 0)
    assert price.total_minor == 9000 + price.delivery_fee_minor + 500


async def test_a_key_places_one_order_and_refuses_another_body() -> None:
    """The same key and body give back the order; another basket or token is a conflict that writes nothing."""
    service, store = service_over_memory()
    first = await service.place("ana", KEY, TWO_PIZZAS, "tok_ok")
    again = await service.place("ana", KEY, TWO_PIZZAS, "tok_ok")
    assert (first.replayed, again.replayed, again.order) == (False, True, first.order)
    for basket, token in ((replace(TWO_PIZZAS, tip_minor=1), "tok_ok"), (TWO_PIZZAS, "tok_other")):
        with pytest.raises(KeyReused):
            await service.place("ana", KEY, basket, token)
    other = await service.place("ben", KEY, TWO_PIZZAS, "tok_ok")
    assert not other.replayed
    assert len(store.outbox.unsent) == 2


async def test_only_its_user_sees_and_cancels_an_order() -> None:
    """For another user it does not exist; services ask without a user."""
    service, _ = service_over_memory()
    order = (await service.place("ana", KEY, TWO_PIZZAS, "tok_ok")).order
    assert await service.get(order.order_id, "") == await service.get(order.order_id.upper(), "ana") == order
    with pytest.raises(UnknownOrder):
        await service.get(order.order_id, "ben")
    with pytest.raises(UnknownOrder):
        await service.cancel(order.order_id, "ben", "")
    assert (await service.get(order.order_id, "ana")).status is Status.PLACED


async def test_cancelling_twice_changes_nothing_and_a_final_order_refuses_with_its_state() -> None:
    """The second cancel gives back the order; a completed one says why it cannot be cancelled."""
    service, store = service_over_memory()
    order = (await service.place("ana", KEY, TWO_PIZZAS, "tok_ok")).order
    cancelled = await service.cancel(order.order_id, "ana", "")
    assert cancelled.status is Status.CANCELLED
    assert await service.cancel(order.order_id, "ana", "again") == cancelled
    assert len(store.outbox.unsent) == 2
    lost = (await service.place("ana", KEY + "2", TWO_PIZZAS, "tok_ok")).order
    await store.change(lost.order_id, _completed)
    with pytest.raises(TransitionRefused, match="COMPLETED"):
        await service.cancel(lost.order_id, "ana", "")


def _completed(order: Order) -> Change:
    return Change(replace(order, status=Status.COMPLETED))


async def test_pages_follow_the_cursor_newest_first() -> None:
    """Each order is on one page, whatever the limit; an order placed meanwhile disturbs no later page."""
    clock = ManualClock(NOW_MS)
    service, _ = service_over_memory(clock)
    placed = []
    for number in range(7):
        clock.advance(1000)
        placed.append((await service.place("ana", f"{KEY}{number}", TWO_PIZZAS, "tok_ok")).order.order_id)
    found, cursor = [], ""
    while True:
        page = await service.list_orders("ana", cursor, 3)
        found += [order.order_id for order in page.orders]
        await service.place("ana", f"meanwhile-{cursor}", TWO_PIZZAS, "tok_ok")
        if not (cursor := page.next_cursor):
            break
    assert found == placed[::-1]


BAD_BASKETS: dict[str, tuple[str, Basket]] = {
    "no items": ("items", with_items()),
    "too many lines": ("items", with_items(*TWO_PIZZAS.items * (MAX_LINES + 1))),
    "negative quantity": ("items[0].quantity", with_items(Item("a", "A", -1, 100))),
    "no quantity": ("items[0].quantity", with_items(Item("a", "A", 0, 100))),
    "quantity of the second": ("items[1].quantity", with_items(Item("a", "A", 1, 1), Item("b", "B", 100, 1))),
    "negative price": ("items[0].price", with_items(Item("a", "A", 1, -1))),
    "absurd price": ("items[0].price", with_items(Item("a", "A", 1, 2**62))),
    "no sku": ("items[0].sku", with_items(Item("", "A", 1, 1))),
    "sku with a zero byte": ("items[0].sku", with_items(Item("a\0", "A", 1, 1))),
    "endless name": ("items[0].name", with_items(Item("a", "A" * 201, 1, 1))),
    "negative tip": ("tip", replace(TWO_PIZZAS, tip_minor=-1)),
    "latitude": ("dropoff.lat_e7", replace(TWO_PIZZAS, dropoff=Position(900_000_001, 0))),
    "longitude": ("dropoff.lng_e7", replace(TWO_PIZZAS, dropoff=Position(0, -1_800_000_001))),
    "another continent": ("dropoff", replace(TWO_PIZZAS, dropoff=Position(0, 0))),
    "door at sea": ("dropoff", replace(TWO_PIZZAS, dropoff=Position(-299_100_000, -715_000_000))),
    "door in the next city": ("dropoff", replace(TWO_PIZZAS, dropoff=Position(-300_000_000, -712_510_000))),
    "restaurant in the next city": (
        "restaurant.at",
        replace(TWO_PIZZAS, restaurant=replace(FORNO, at=Position(-300_000_000, -712_510_000))),
    ),
    "restaurant nowhere": (
        "restaurant.at.lat_e7",
        replace(TWO_PIZZAS, restaurant=replace(TWO_PIZZAS.restaurant, at=Position(-(2**31), 0))),
    ),
    "cooked yesterday": (
        "restaurant.preparation_s",
        replace(TWO_PIZZAS, restaurant=replace(TWO_PIZZAS.restaurant, preparation_s=-1)),
    ),
    "no restaurant": (
        "restaurant.restaurant_id",
        replace(TWO_PIZZAS, restaurant=replace(TWO_PIZZAS.restaurant, restaurant_id="")),
    ),
}


@pytest.mark.parametrize(("field", "basket"), BAD_BASKETS.values(), ids=BAD_BASKETS)
async def test_a_bad_basket_is_refused_by_the_name_of_its_field(field: str, basket: Basket) -> None:
    """Quote and place refuse it alike, and nothing is written."""
    service, store = service_over_memory()
    with pytest.raises(Invalid) as quoted:
        await service.quote(basket)
    with pytest.raises(Invalid) as placed:
        await service.place("ana", KEY, basket, "tok_ok")
    assert quoted.value.field == placed.value.field == field
    assert not store.outbox.unsent


async def test_an_order_far_outside_its_city_is_refused_with_where_it_is() -> None:
    """A thousand kilometres away, restaurant and door side by side; another city's places name that city."""
    service, _ = service_over_memory()
    far = Position(-209_000_000, -712_520_000)
    with pytest.raises(Invalid, match="in no city, the order is for la-serena") as nowhere:
        await service.quote(replace(TWO_PIZZAS, restaurant=replace(FORNO, at=far), dropoff=far))
    assert (nowhere.value.reason, nowhere.value.field) == ("OUTSIDE_CITY", "restaurant.at")
    with pytest.raises(Invalid, match="in la-serena, the order is for coquimbo"):
        await service.quote(replace(TWO_PIZZAS, city="coquimbo"))


async def test_the_plane_of_the_instances_is_a_city_like_any_other() -> None:
    """Orders of an instance lie near the null island."""
    service, _ = service_over_memory()
    at, door = Position(100_000, 200_000), Position(1_500_000, 300_000)
    await service.quote(replace(TWO_PIZZAS, city="instance", restaurant=replace(FORNO, at=at), dropoff=door))


@pytest.mark.parametrize(
    ("user", "key", "token", "field"),
    [
        ("", KEY, "tok_ok", "user_id"),
        ("a" * 129, KEY, "tok_ok", "user_id"),
        ("ana", "", "tok_ok", "idempotency_key"),
        ("ana", "short", "tok_ok", "idempotency_key"),
        ("ana", "k" * 129, "tok_ok", "idempotency_key"),
        ("ana", "with a space", "tok_ok", "idempotency_key"),
        ("ana", KEY, "", "payment_token"),
        ("ana", KEY, "4242424242424242", "payment_token"),
        ("ana", KEY, "4242-4242-4242-4242", "payment_token"),
    ],
)
async def test_who_how_and_with_what_are_checked(user: str, key: str, token: str, field: str) -> None:
    """User, key and token each name themselves; a card number goes nowhere."""
    service, store = service_over_memory()
    with pytest.raises(Invalid) as error:
        await service.place(user, key, TWO_PIZZAS, token)
    assert error.value.field == field
    assert "4242" not in str(error.value)
    assert not store.outbox.unsent


CARD = "4242424242424242"
CARDS = (CARD, "4242 4242 4242 4242", "4242-4242-4242-4242", "378282246310005", "card:4242424242424242", f"card{CARD}x")


def with_card_in(field: str, card: str) -> tuple[str, str, Basket, str]:
    """User, key, basket and token, one text of which has a card number in it."""
    item = TWO_PIZZAS.items[0]
    user, key, token, basket = "ana", KEY, "tok_ok", TWO_PIZZAS
    match field:
        case "user_id":
            user = card
        case "idempotency_key":
            key = f"order/{card}/1"
        case "payment_token":
            token = card
        case "restaurant.restaurant_id":
            basket = replace(basket, restaurant=replace(FORNO, restaurant_id=card))
        case "restaurant.name":
            basket = replace(basket, restaurant=replace(FORNO, name=f"Pizza {card}"))
        case "items[0].sku":
            basket = with_items(replace(item, sku=card))
        case "items[0].name":
            basket = with_items(replace(item, name=f"for {card}"))
        case other:
            raise AssertionError(other)
    return user, key, basket, token


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "field",
    [
        "user_id",
        "idempotency_key",
        "payment_token",
        "restaurant.restaurant_id",
        "restaurant.name",
        "items[0].sku",
        "items[0].name",
    ],
)
async def test_a_card_number_gets_in_by_no_text(field: str, card: str) -> None:
    """Whichever field it hides in: refused, not repeated, nothing written."""
    service, store = service_over_memory()
    user, key, basket, token = with_card_in(field, card)
    with pytest.raises(Invalid) as error:
        await service.place(user, key, basket, token)
    assert (error.value.field, error.value.reason) == (field, "CARD_NUMBER")
    assert card not in str(error.value)
    assert not store.outbox.unsent


@pytest.mark.parametrize(("key", "token"), [("x" * 1_000_000, "tok_ok"), (KEY, "x" * 1_000_000)], ids=["key", "token"])
async def test_a_very_long_text_is_refused_before_it_is_searched(key: str, token: str) -> None:
    """The search for card numbers takes time with the square of the length: this one would take hours."""
    service, _ = service_over_memory()
    with pytest.raises(Invalid, match=r"8\.\.128|1\.\.255"):
        await service.place("ana", key, TWO_PIZZAS, token)


@pytest.mark.parametrize("card", CARDS)
async def test_a_card_number_gets_in_by_no_reason_and_no_list(card: str) -> None:
    """Nor by whose orders are asked for."""
    service, _ = service_over_memory()
    with pytest.raises(Invalid, match="card number"):
        await service.cancel(order_id(), "ana", f"I paid with {card}")
    with pytest.raises(Invalid, match="card number"):
        await service.list_orders(card, "", 0)


@given(st.one_of(st.uuids(version=4).map(str), st.uuids(version=4).map(lambda key: f"order{key.hex}")))
@example("33333333-3333-4333-8333-333333333333")
@example("40000000-0000-4002-a000-000000000000")
@example("a1795000000000123b4242424242424242cdef")
async def test_a_random_key_is_no_card_number(key: str) -> None:
    """UUIDs and hexadecimal words place orders, whatever digits stand in a row in them."""
    service, _ = service_over_memory()
    assert not (await service.place(key, key, TWO_PIZZAS, "tok_ok")).replayed


@pytest.mark.parametrize("user", ["7", "1795000000000", "4242424242424241", "+56 9 6123 4567", "customer-4999"])
async def test_numbers_that_are_no_cards_are_let_in(user: str) -> None:
    """Ids that are plain numbers: too short, with a first digit that no card has, or with a wrong check digit."""
    service, _ = service_over_memory()
    assert (await service.place(user, KEY, TWO_PIZZAS, "tok_ok")).order.user_id == user


async def test_a_currency_without_fees_is_refused() -> None:
    """Nobody has said what delivery costs there."""
    service, _ = service_over_memory()
    with pytest.raises(Rejected) as error:
        await service.quote(replace(TWO_PIZZAS, currency="XXX"))
    assert error.value.reason == "NO_FEES"


_INTS = st.integers(-(2**63), 2**63 - 1)
_INTS_32 = st.integers(-(2**31), 2**31 - 1)
_POSITIONS = st.builds(Position, _INTS_32, _INTS_32)
_ITEMS = st.builds(Item, st.text(max_size=70), st.text(max_size=5), st.integers(-5, 120), _INTS)
_NEAR = st.just(TWO_PIZZAS.dropoff)


@given(
    basket=st.builds(
        Basket,
        st.just("la-serena"),
        st.sampled_from(["CLP", "EUR"]),
        st.builds(
            type(TWO_PIZZAS.restaurant),
            st.text(max_size=3),
            st.text(max_size=3),
            st.one_of(st.just(TWO_PIZZAS.restaurant.at), _POSITIONS),
            st.one_of(st.integers(0, 600), _INTS_32),
        ),
        st.one_of(_NEAR, _NEAR, _POSITIONS),
        st.lists(_ITEMS, max_size=3).map(tuple),
        st.one_of(st.just(0), _INTS),
    ),
    user=st.text(max_size=5),
    key=st.one_of(st.just(KEY), st.text(max_size=12)),
    token=st.one_of(st.just("tok_ok"), st.text(max_size=6)),
)
async def test_any_input_places_one_sound_order_or_is_refused_without_a_trace(
    basket: Basket, user: str, key: str, token: str
) -> None:
    """Either there is one order and one event, with a price that fits 64 bits, or a typed error and neither."""
    service, store = service_over_memory()
    try:
        order = (await service.place(user, key, basket, token)).order
    except FornoError:
        assert not store.outbox.unsent
        return
    assert 0 < order.price.total_minor < 2**63
    assert len(store.outbox.unsent) == 1


async def test_a_call_too_many_is_turned_away_at_once() -> None:
    """When as many calls wait as may, the next one is told to retry; when one is done there is room again."""
    service, _ = service_over_memory()
    api = OrdersApi(service, OneCity(), service.clock, limit=CallLimit(TURNED_AWAY, 1))
    request = pb.ListRequest(user_id="ana")
    async with api.limit.admitted():
        with pytest.raises(Retryable) as error:
            await api.List(request, None)
    assert error.value.reason == "OVERLOADED"
    assert not (await api.List(request, None)).orders


class OneCity:
    """Every name is La Serena."""

    def city(self, name: str) -> ServedCity:
        """It is there, whatever it is called."""
        return ServedCity(name, "CLP", TWO_PIZZAS.dropoff)
