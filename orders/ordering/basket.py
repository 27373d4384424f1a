"""Check baskets. Every refusal names the field, as a path within the basket (`items[2].quantity`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from node.errors import Invalid
from node.geodesy import MAX_LAT_E7, MAX_LNG_E7, distance_m
from orders.model import Basket, Item, Position, Restaurant
from orders.text_checks import MAX_TEXT, checked_text
from shard_router.cities.catalogue import NO_CITY, CityLookup

MAX_LINES = 100
MAX_QUANTITY = 99
MAX_RESTAURANT_ID = 64
MAX_PREPARATION_S = 4 * 3600
MAX_DISTANCE_M = 50_000
#: Bounds every price and the tip, so that no sum can leave 64 bits.
MAX_MINOR = 10_000_000_000


def checked_basket(basket: Basket, cities: CityLookup) -> Basket:
    """The basket, or `Invalid` naming the first field at fault."""
    _check_restaurant(basket.restaurant)
    _check_position("dropoff", basket.dropoff)
    away_m = distance_m(basket.restaurant.at, basket.dropoff)
    if away_m > MAX_DISTANCE_M:
        raise Invalid("dropoff", f"{away_m / 1000:.0f} km from the restaurant, at most 50", reason="TOO_FAR")
    _check_city(basket, cities)
    _check_items(basket.items)
    _check_amount("tip", basket.tip_minor)
    return basket


def same_currency(field: str, currency: str, wanted: str) -> None:
    """Raises `Invalid` unless the amount is in the city's currency."""
    if currency != wanted:
        raise Invalid(field, f"in {currency!r}, the city's currency is {wanted}", reason="CURRENCY_MISMATCH")


def _check_restaurant(restaurant: Restaurant) -> None:
    checked_text("restaurant.restaurant_id", restaurant.restaurant_id, MAX_RESTAURANT_ID)
    checked_text("restaurant.name", restaurant.name, MAX_TEXT, empty=True)
    _check_position("restaurant.at", restaurant.at)
    if not 0 <= restaurant.preparation_s <= MAX_PREPARATION_S:
        raise Invalid("restaurant.preparation_s", f"0..{MAX_PREPARATION_S} seconds", reason="OUT_OF_RANGE")


def _check_position(field: str, at: Position) -> None:
    if not -MAX_LAT_E7 <= at.lat_e7 <= MAX_LAT_E7:
        raise Invalid(f"{field}.lat_e7", "-900000000..900000000", reason="BAD_COORDINATES")
    if not -MAX_LNG_E7 <= at.lng_e7 <= MAX_LNG_E7:
        raise Invalid(f"{field}.lng_e7", "-1800000000..1800000000", reason="BAD_COORDINATES")


def _check_city(basket: Basket, cities: CityLookup) -> None:
    """The restaurant and the door lie in the city whose riders are to come."""
    places = {"restaurant.at": basket.restaurant.at, "dropoff": basket.dropoff}
    lats = np.array([at.lat_e7 for at in places.values()])
    lngs = np.array([at.lng_e7 for at in places.values()])
    for field, found in zip(places, cities.find(lats, lngs).tolist(), strict=True):
        slug = None if found == NO_CITY else cities.cities[found].slug
        if slug != basket.city:
            where = f"in {slug}" if slug else "in no city"
            raise Invalid(field, f"{where}, the order is for {basket.city}", reason="OUTSIDE_CITY")


def _check_items(items: Sequence[Item]) -> None:
    if not items:
        raise Invalid("items", "an order has at least one item", reason="NO_ITEMS")
    if len(items) > MAX_LINES:
        raise Invalid("items", f"{len(items)} lines, at most {MAX_LINES}", reason="TOO_MANY_ITEMS")
    for number, item in enumerate(items):
        field = f"items[{number}]"
        checked_text(f"{field}.sku", item.sku, 64)
        checked_text(f"{field}.name", item.name, MAX_TEXT, empty=True)
        if not 1 <= item.quantity <= MAX_QUANTITY:
            raise Invalid(f"{field}.quantity", f"{item.quantity}, must be 1..{MAX_QUANTITY}", reason="BAD_QUANTITY")
        _check_amount(f"{field}.price", item.price_minor)


def _check_amount(field: str, minor: int) -> None:
    if not 0 <= minor <= MAX_MINOR:
        raise Invalid(field, f"0..{MAX_MINOR} minor units", reason="BAD_AMOUNT")
