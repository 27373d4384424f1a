"""Integer money: taxes, parts, currencies."""

from __future__ import annotations

from dataclasses import astuple, replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.model import Price
from orders.money import TaxRule, divided, split
from orders.ordering.pricing import DELIVERY_FEES, parts_of, price_of
from orders.ordering.taxes import TAXES
from shard_router.cities.catalogue import load_cities
from tests.unit.orders.worlds import TWO_PIZZAS

AMOUNTS = st.integers(0, 10**14)
RULES = st.builds(TaxRule, st.integers(0, 99_999), st.booleans())


def test_every_city_of_the_map_has_fees_and_a_tax() -> None:
    """An order can be priced anywhere on the map, in the city's own currency."""
    for city in load_cities():
        price = price_of(replace(TWO_PIZZAS, city=city.slug, currency=city.currency))
        assert price.delivery_fee_minor > 0
        assert price.currency in DELIVERY_FEES
    assert {city.slug for city in load_cities()} == set(TAXES)


@given(RULES, AMOUNTS)
def test_a_tax_is_off_by_half_a_minor_unit_at_most(rule: TaxRule, base: int) -> None:
    """Rounded once, half up; never more than the amount it is within; never less for more."""
    rate = Fraction(rule.rate_e5, 100_000)
    exact = base * rate / (1 + rate) if rule.included else base * rate
    assert abs(rule.of(base) - exact) <= Fraction(1, 2)
    assert 0 <= rule.of(base) <= base
    assert rule.of(base) <= rule.of(base + 1)


@pytest.mark.parametrize(
    ("rate_e5", "included", "base", "tax"),
    [
        (19_000, True, 11_900, 1_900),
        (19_000, True, 10_840, 1_731),
        (8_875, False, 1_000, 89),
        (50_000, False, 1, 1),
        (10_000, False, 5, 1),
        (10_000, False, 4, 0),
        (0, True, 999, 0),
    ],
)
def test_taxes_by_hand(rate_e5: int, included: bool, base: int, tax: int) -> None:
    """Chile's 19% within the price, New York's 8.875% on top, halves upwards."""
    assert TaxRule(rate_e5, included).of(base) == tax


@pytest.mark.parametrize("rate_e5", [-1, 100_000])
def test_a_tax_rate_out_of_range_is_no_rate(rate_e5: int) -> None:
    """Nothing is taxed below nothing or by more than all."""
    with pytest.raises(ValueError, match="hundred-thousandths"):
        TaxRule(rate_e5, included=True)


@given(st.lists(AMOUNTS, min_size=1, max_size=6), st.data())
def test_what_is_split_adds_up_and_takes_no_more_than_there_is(weights: list[int], data: st.DataObject) -> None:
    """Within one minor unit of the exact share."""
    amount = data.draw(st.integers(0, sum(weights)))
    parts = split(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
    if sum(weights):
        shares = [Fraction(amount * weight, sum(weights)) for weight in weights]
        assert all(abs(part - share) < 1 for part, share in zip(parts, shares, strict=True))


@given(AMOUNTS, AMOUNTS, AMOUNTS, RULES)
def test_the_parts_of_a_price_add_up_to_its_total(items: int, fee: int, tip: int, rule: TaxRule) -> None:
    """Food, delivery, tip and tax are the total, whether the tax is within it or on top; none is negative."""
    price = Price("EUR", items, fee, tip, rule.of(items + fee), rule.included)
    parts = astuple(parts_of(price))
    assert sum(parts) == price.total_minor
    assert min(parts) >= 0


@given(AMOUNTS, st.integers(1, 10**6))
def test_halves_are_rounded_up(numerator: int, denominator: int) -> None:
    """As the fraction says."""
    assert divided(numerator, denominator) == (Fraction(numerator, denominator) + Fraction(1, 2)).__floor__()
