"""Translate between the public JSON and the services' protobuf."""

from __future__ import annotations

from typing import cast

from gateway.api import models
from gateway.order_status import order_status, status_word
from proto.common.v1.types_pb2 import LatLng, Money
from proto.orders.v1 import orders_pb2 as pb

_E7 = 10_000_000


def basket(body: models.QuoteBody, currency: str) -> pb.Basket:
    """The basket; all its money is in the city's currency."""
    restaurant = pb.Restaurant(
        restaurant_id=body.restaurant.restaurant_id,
        name=body.restaurant.name,
        at=_lat_lng(body.restaurant.lat, body.restaurant.lng),
        preparation_s=body.restaurant.preparation_s,
    )
    items = [
        pb.Item(
            sku=item.sku,
            name=item.name,
            quantity=item.quantity,
            price=Money(minor=item.price_minor, currency=currency),
        )
        for item in body.items
    ]
    return pb.Basket(
        city=body.city,
        restaurant=restaurant,
        dropoff=_lat_lng(body.dropoff.lat, body.dropoff.lng),
        items=items,
        tip=Money(minor=body.tip_minor, currency=currency),
    )


def order(message: pb.Order) -> models.Order:
    """An order as its customer sees it. Who carries it is not told."""
    basket = message.basket
    at = basket.restaurant.at
    return models.Order(
        order_id=message.order_id,
        city=basket.city,
        status=cast(models.Status, order_status(message)),
        restaurant=models.Restaurant.model_construct(
            restaurant_id=basket.restaurant.restaurant_id,
            name=basket.restaurant.name,
            lat=at.lat_e7 / _E7,
            lng=at.lng_e7 / _E7,
            preparation_s=basket.restaurant.preparation_s,
        ),
        dropoff=models.LatLng(lat=basket.dropoff.lat_e7 / _E7, lng=basket.dropoff.lng_e7 / _E7),
        items=[
            models.Item.model_construct(
                sku=item.sku, name=item.name, quantity=item.quantity, price_minor=item.price.minor
            )
            for item in basket.items
        ],
        price=price(message.price),
        history=[
            models.StatusChange(status=cast(models.Status, word), at_ms=change.at_ms, reason=change.reason)
            for change in message.history
            if (word := status_word(change.status)) is not None
        ],
        placed_ms=message.placed_ms,
        ready_ms=message.ready_ms,
        promised_ms=message.promised_ms,
        eta_ms=message.eta_ms or None,
        rider_assigned=message.rider_id != 0,
        refunded_minor=message.refunded.minor,
        action_required=_action(message.action_required) if message.HasField("action_required") else None,
        version=message.version,
    )


def _action(message: pb.ActionRequired) -> models.ActionRequired:
    return models.ActionRequired(
        kind=message.kind, client_secret=message.client_secret, redirect_url=message.redirect_url or None
    )


def price(message: pb.Price) -> models.Price:
    return models.Price(
        items_minor=message.items.minor,
        delivery_fee_minor=message.delivery_fee.minor,
        tip_minor=message.tip.minor,
        tax_minor=message.tax.minor,
        tax_included=message.tax_included,
        total_minor=message.total.minor,
        currency=message.total.currency,
    )


def quote(message: pb.QuoteResponse) -> models.Quote:
    return models.Quote(
        price=price(message.price), eta_ms=message.eta_ms or None, eta_p90_ms=message.eta_p90_ms or None
    )


def _lat_lng(lat: float, lng: float) -> LatLng:
    return LatLng(lat_e7=round(lat * _E7), lng_e7=round(lng * _E7))
