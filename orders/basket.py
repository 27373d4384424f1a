"""Checks of what comes in. Every refusal names the field, as a path within the basket (`items[2].quantity`)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from node.errors import Invalid
from orders.distance import distance_m
from orders.model import Basket, Item, Position, Restaurant, UserId
from shard_router.cities import NO_CITY, CityLookup

MAX_LINES = 100
MAX_QUANTITY = 99
MAX_PREPARATION_S = 4 * 3600
MAX_DISTANCE_M = 50_000
#: Bounds every price and the tip, so that no sum can leave 64 bits.
MAX_MINOR = 10_000_000_000
MAX_TEXT = 200

_KEY = re.compile(r"[\x21-\x7e]{8,128}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
_CARD_NUMBER = re.compile(r"(?:\d[ -]?){12,18}\d")
_CARD_WITHIN = re.compile(r"(?<![0-9A-Za-z])[2-6](?:[ -]?\d){12,18}(?![0-9A-Za-z])")


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


def checked_user(user_id: str) -> UserId:
    """The user's id, or `Invalid`."""
    return UserId(_text("user_id", user_id, 128))


def checked_key(key: str) -> str:
    """The idempotency key, or `Invalid`."""
    if _CARD_NUMBER.fullmatch(key):
        raise _card_number("idempotency_key")
    if not _KEY.fullmatch(key):
        raise Invalid("idempotency_key", "8..128 printable ASCII characters without spaces", reason="BAD_KEY")
    return key


def checked_token(token: str) -> str:
    """The payment token, or `Invalid`; what looks like a card number is refused before it is stored anywhere."""
    if _CARD_NUMBER.fullmatch(token) or _holds_card_number(token):
        raise _card_number("payment_token")
    if not _TOKEN.fullmatch(token):
        raise Invalid("payment_token", "1..255 printable ASCII characters without spaces", reason="BAD_TOKEN")
    return token


def checked_reason(reason: str) -> str:
    """A reason in somebody's own words: may be empty."""
    if _holds_card_number(reason):
        raise _card_number("reason")
    return _text("reason", reason, MAX_TEXT, empty=True)


def _holds_card_number(text: str) -> bool:
    """Whether there is a number in it that could be a card's: 13 to 19 digits whose check digit is right (Luhn)."""
    for found in _CARD_WITHIN.findall(text):
        digits = [int(sign) for sign in reversed(found) if sign.isdigit()]
        if sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10:
            return True
    return False


def _card_number(field: str) -> Invalid:
    """The refusal, which does not repeat the number."""
    return Invalid(field, "this looks like a card number: it has no place here", reason="CARD_NUMBER")


def same_currency(field: str, currency: str, wanted: str) -> None:
    """Raises `Invalid` unless the amount is in the city's currency."""
    if currency != wanted:
        raise Invalid(field, f"in {currency!r}, the city's currency is {wanted}", reason="CURRENCY_MISMATCH")


def _check_restaurant(restaurant: Restaurant) -> None:
    _text("restaurant.restaurant_id", restaurant.restaurant_id, 64)
    _text("restaurant.name", restaurant.name, MAX_TEXT, empty=True)
    _check_position("restaurant.at", restaurant.at)
    if not 0 <= restaurant.preparation_s <= MAX_PREPARATION_S:
        raise Invalid("restaurant.preparation_s", f"0..{MAX_PREPARATION_S} seconds", reason="OUT_OF_RANGE")


def _check_position(field: str, at: Position) -> None:
    if not -900_000_000 <= at.lat_e7 <= 900_000_000:
        raise Invalid(f"{field}.lat_e7", "-900000000..900000000", reason="BAD_COORDINATES")
    if not -1_800_000_000 <= at.lng_e7 <= 1_800_000_000:
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
        _text(f"{field}.sku", item.sku, 64)
        _text(f"{field}.name", item.name, MAX_TEXT, empty=True)
        if not 1 <= item.quantity <= MAX_QUANTITY:
            raise Invalid(f"{field}.quantity", f"{item.quantity}, must be 1..{MAX_QUANTITY}", reason="BAD_QUANTITY")
        _check_amount(f"{field}.price", item.price_minor)


def _check_amount(field: str, minor: int) -> None:
    if not 0 <= minor <= MAX_MINOR:
        raise Invalid(field, f"0..{MAX_MINOR} minor units", reason="BAD_AMOUNT")


def _text(field: str, text: str, longest: int, *, empty: bool = False) -> str:
    if not text and not empty:
        raise Invalid(field, "must not be empty", reason="EMPTY")
    if len(text) > longest:
        raise Invalid(field, f"{len(text)} characters, at most {longest}", reason="TOO_LONG")
    if not text.isprintable():
        raise Invalid(field, "holds characters that cannot be printed", reason="BAD_TEXT")
    return text
