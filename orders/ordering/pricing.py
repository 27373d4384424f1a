"""Compute the price and the promised time of an order. Pure; every amount an integer of minor units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.errors import Rejected
from node.geodesy import distance_m
from orders.model import Basket, Price
from orders.money import Parts, split
from orders.ordering.taxes import TAXES

#: Delivery within this long is the promise for a usual order (the target click-to-door of Reyes et al. 2018).
PROMISE_S = 40 * 60
#: A far or slow order is promised its preparation, its ride at this pace and this much for all that goes wrong.
RIDE_M_PER_S = 4.0
SLACK_S = 15 * 60


@dataclass(frozen=True, slots=True)
class DeliveryFee:
    """The fee for bringing an order: a base, and so much for each kilometre begun after the first two."""

    base_minor: int
    per_km_minor: int

    def for_distance(self, away_m: float) -> int:
        """The fee for a great-circle distance."""
        return self.base_minor + self.per_km_minor * max(0, -(-int(away_m) // 1000) - 2)


#: By currency; a city's currency decides.
DELIVERY_FEES: Mapping[str, DeliveryFee] = {
    "ARS": DeliveryFee(150_000, 45_000),
    "AUD": DeliveryFee(349, 95),
    "BRL": DeliveryFee(699, 180),
    "CLP": DeliveryFee(1490, 350),
    "EGP": DeliveryFee(2500, 700),
    "EUR": DeliveryFee(199, 60),
    "GBP": DeliveryFee(199, 55),
    "IDR": DeliveryFee(900_000, 250_000),
    "INR": DeliveryFee(2900, 800),
    "JPY": DeliveryFee(320, 80),
    "KES": DeliveryFee(9900, 3000),
    "KRW": DeliveryFee(2900, 700),
    "MXN": DeliveryFee(2900, 800),
    "NGN": DeliveryFee(90_000, 25_000),
    "SGD": DeliveryFee(299, 80),
    "TRY": DeliveryFee(3900, 1000),
    "USD": DeliveryFee(199, 75),
}


def price_of(basket: Basket) -> Price:
    """The price of a checked basket. Raises `Rejected` where the city has no fees or no tax rate yet."""
    try:
        fee = DELIVERY_FEES[basket.currency]
    except KeyError:
        raise Rejected(f"no delivery fees are set for {basket.currency}", reason="NO_FEES") from None
    try:
        tax = TAXES[basket.city]
    except KeyError:
        raise Rejected(f"no tax rate is set for {basket.city}", reason="NO_TAX_RATE") from None
    items_minor = sum(item.quantity * item.price_minor for item in basket.items)
    fee_minor = fee.for_distance(distance_m(basket.restaurant.at, basket.dropoff))
    return Price(
        basket.currency, items_minor, fee_minor, basket.tip_minor, tax.of(items_minor + fee_minor), tax.included
    )


def parts_of(price: Price) -> Parts:
    """The price by where it goes. A tax within the prices is taken from food and delivery in proportion."""
    taxed = (price.items_minor, price.delivery_fee_minor)
    within = split(price.tax_minor, taxed) if price.tax_included else (0, 0)
    return Parts(taxed[0] - within[0], taxed[1] - within[1], price.tip_minor, price.tax_minor)


def promised_ms(basket: Basket, placed_ms: int) -> int:
    """Until when delivery is promised, domain milliseconds. Deterministic: it asks nobody."""
    ride_s = distance_m(basket.restaurant.at, basket.dropoff) / RIDE_M_PER_S
    return placed_ms + 1000 * max(PROMISE_S, basket.restaurant.preparation_s + int(ride_s) + SLACK_S)
