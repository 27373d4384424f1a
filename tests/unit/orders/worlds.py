"""Small worlds for the tests of orders."""

from __future__ import annotations

from dataclasses import replace

from orders.ids import order_id_at, point_of_user
from orders.model import Basket, Item, Order, OrderId, Position, Restaurant, UserId
from orders.ordering import saga
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.event_inbox import ReceivedEvent, Source
from orders.ordering.events import Change
from orders.ordering.pricing import price_of, promised_ms
from orders.ordering.saga import Signal
from orders.ordering.store import OrderStore
from orders.ordering.transitions import Trigger
from orders.ranges import ByRange, RangeMap

ANA = UserId("ana")
NOW_MS = 1_795_000_000_000

FORNO = Restaurant("r-1", "Forno", Position(-299_020_000, -712_520_000), preparation_s=600)
TWO_PIZZAS = Basket(
    "la-serena", "CLP", FORNO, Position(-299_100_000, -712_510_000), (Item("margherita", "Margherita", 2, 4500),), 500
)

#: Payments' and dispatch's part in an order that goes well, in the order in which it happens.
GOES_WELL = (
    (Source.PAYMENTS, Trigger.AUTHORISE),
    (Source.DISPATCH, Trigger.ASSIGN),
    (Source.DISPATCH, Trigger.PICK_UP),
    (Source.DISPATCH, Trigger.DELIVER),
    (Source.PAYMENTS, Trigger.CAPTURE),
)


def order_id(number: int = 1, user: UserId = ANA, at_ms: int = NOW_MS) -> OrderId:
    """An id of the user, by number."""
    return order_id_at(at_ms, point_of_user(user), number)


def placed(number: int = 1, user: UserId = ANA, at_ms: int = NOW_MS) -> Change:
    """Two pizzas for the user, just placed."""
    return saga.place(
        order_id(number, user, at_ms),
        user,
        TWO_PIZZAS,
        price_of(TWO_PIZZAS),
        at_ms,
        promised_ms(TWO_PIZZAS, at_ms),
        "tok_ok",
    )


def after(*triggers: Trigger) -> Order:
    """An order of Ana's after some triggers; the kitchen answers by itself."""
    signals = [Signal(trigger, NOW_MS + 1000 * n) for n, trigger in enumerate(triggers, 1)]
    change, refused = saga.follow(placed().order, signals)
    assert not refused
    return change.order


def heard(source: Source, version: int, signal: Signal, order: OrderId | None = None) -> ReceivedEvent:
    """An event, as the listener reads it."""
    return ReceivedEvent(source, order or order_id(), version, signal, raw=b"")


def one_database(orders: MemoryOrders) -> ByRange[OrderStore]:
    """Orders in memory as the only database."""
    return ByRange(RangeMap.parse("0-65535=orders_0"), {"orders_0": OrderStore(orders, orders, orders)})


def with_items(*items: Item) -> Basket:
    """The two pizzas' basket with other items."""
    return replace(TWO_PIZZAS, items=items)
