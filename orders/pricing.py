"""What an order costs and when it is promised. Pure; every amount an integer of minor units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node.errors import Rejected
from orders.distance import distance_m
from orders.model import Basket, Price

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
    "CLP": DeliveryFee(1490, 350),
    "EUR": DeliveryFee(199, 60),
    "GBP": DeliveryFee(199, 55),
    "USD": DeliveryFee(199, 75),
}


def price_of(basket: Basket) -> Price:
    """The price of a checked basket. Raises `Rejected` where the city's currency has no fees yet."""
    try:
        fee = DELIVERY_FEES[basket.currency]
    except KeyError:
        raise Rejected(f"no delivery fees are set for {basket.currency}", reason="NO_FEES") from None
    return Price(
        basket.currency,
        sum(item.quantity * item.price_minor for item in basket.items),
        fee.for_distance(distance_m(basket.restaurant.at, basket.dropoff)),
        basket.tip_minor,
    )


def promised_ms(basket: Basket, placed_ms: int) -> int:
    """Until when delivery is promised, domain milliseconds. Deterministic: it asks nobody."""
    ride_s = distance_m(basket.restaurant.at, basket.dropoff) / RIDE_M_PER_S
    return placed_ms + 1000 * max(PROMISE_S, basket.restaurant.preparation_s + int(ride_s) + SLACK_S)
