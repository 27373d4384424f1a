"""Prices and promises."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orders.ordering.pricing import DELIVERY_FEES, price_of, promised_ms
from tests.unit.orders.worlds import TWO_PIZZAS


@pytest.mark.parametrize(
    ("away_m", "fee_minor"),
    [(0, 1490), (1999, 1490), (2000, 1490), (2001, 1490 + 350), (3000, 1490 + 350), (3001, 1490 + 700)],
)
def test_the_fee_grows_with_each_kilometre_begun_after_the_first_two(away_m: float, fee_minor: int) -> None:
    """Chilean pesos, at the edges."""
    assert DELIVERY_FEES["CLP"].for_distance(away_m) == fee_minor


def test_a_price_is_exact_at_any_size() -> None:
    """Sums are integers: the largest order loses no cent."""
    items = (replace(TWO_PIZZAS.items[0], quantity=99, price_minor=9_999_999_999),) * 100
    assert price_of(replace(TWO_PIZZAS, items=items)).items_minor == 100 * 99 * 9_999_999_999


def test_a_usual_order_is_promised_in_forty_minutes_and_a_slow_one_later() -> None:
    """The promise covers preparation and the ride with some slack, and never less than forty minutes."""
    assert promised_ms(TWO_PIZZAS, 0) == 2_400_000
    slow = replace(TWO_PIZZAS, restaurant=replace(TWO_PIZZAS.restaurant, preparation_s=3600))
    assert promised_ms(slow, 0) > (3600 + 900) * 1000
