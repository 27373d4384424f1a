"""Orders as rows of Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from orders.ids import created_ms
from orders.model import (
    ActionRequired,
    Basket,
    Item,
    KitchenTerms,
    Order,
    OrderId,
    Position,
    Price,
    Restaurant,
    Status,
    StatusChange,
    UserId,
)
from orders.ordering.event_inbox import SeenVersions, Source

Row = Mapping[str, Any]


def created_at(order_id: OrderId) -> datetime:
    """The partition key of an order, exactly as it was written with it."""
    seconds, ms = divmod(created_ms(order_id), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)


def order_of(row: Row) -> Order:
    """The order in a row."""
    return Order(
        order_id=OrderId(str(row["order_id"])),
        user_id=UserId(row["user_id"]),
        basket=_basket(row),
        price=Price(
            row["currency"],
            row["items_minor"],
            row["delivery_fee_minor"],
            row["tip_minor"],
            row["tax_minor"],
            row["tax_included"],
        ),
        status=Status(row["status"]),
        history=tuple(
            StatusChange(Status(line["status"]), line["at_ms"], line["reason"]) for line in orjson.loads(row["history"])
        ),
        placed_ms=row["placed_ms"],
        promised_ms=row["promised_ms"],
        ready_ms=row["ready_ms"],
        eta_ms=row["eta_ms"],
        rider_id=int(row["rider_id"]),
        cooked_ms=row["cooked_ms"],
        kitchen=KitchenTerms(row["auto_accept"], row["preparation_s"]),
        version=row["version"],
        events=row["events"],
        refunded_minor=row["refunded_minor"],
        action=_action(row["action_required"]),
    )


def seen_of(row: Row) -> SeenVersions:
    """The versions of the events that were applied to the row's order."""
    return {Source.PAYMENTS: row["payments_seen"], Source.DISPATCH: row["dispatch_seen"]}


def new_row(order: Order) -> tuple[object, ...]:
    """Values of a new order for `place` of `statements.sql`, after the key."""
    price = order.price
    return (
        order.basket.city,
        order.basket.restaurant.restaurant_id,
        order.status,
        order.version,
        order.events,
        order.placed_ms,
        order.promised_ms,
        _basket_json(order.basket),
        price.currency,
        price.items_minor,
        price.delivery_fee_minor,
        price.tip_minor,
        _history_json(order),
        order.kitchen.auto_accept,
        order.kitchen.preparation_s,
        price.tax_minor,
        price.tax_included,
    )


def changed_row(order: Order, seen: SeenVersions) -> tuple[object, ...]:
    """Values of a changed order for `update` of `statements.sql`."""
    return (
        order.order_id,
        created_at(order.order_id),
        order.status,
        order.version,
        order.events,
        order.ready_ms,
        order.eta_ms,
        order.rider_id,
        _history_json(order),
        seen[Source.PAYMENTS],
        seen[Source.DISPATCH],
        order.cooked_ms,
        order.refunded_minor,
        orjson.dumps(order.action).decode() if order.action else None,
    )


def _action(text: str | None) -> ActionRequired | None:
    return ActionRequired(**orjson.loads(text)) if text else None


def _basket_json(basket: Basket) -> str:
    parts = {"restaurant": basket.restaurant, "dropoff": basket.dropoff, "items": basket.items}
    return orjson.dumps(parts).decode()


def _history_json(order: Order) -> str:
    return orjson.dumps(order.history).decode()


def _basket(row: Row) -> Basket:
    body = orjson.loads(row["basket"])
    restaurant = body["restaurant"]
    return Basket(
        city=row["city"],
        currency=row["currency"],
        restaurant=Restaurant(**{**restaurant, "at": Position(**restaurant["at"])}),
        dropoff=Position(**body["dropoff"]),
        items=tuple(Item(**item) for item in body["items"]),
        tip_minor=row["tip_minor"],
    )
