"""Days in a city where riders, kitchens and customers do as they please."""

from __future__ import annotations

import pytest

from tests.scenario.city_of_whims import ON_ONE_WAY, CityOfWhims


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_order_is_delivered_or_cancelled(seed: int) -> None:
    """No order is lost or promised twice; loads stay within capacity after every tick."""
    city = CityOfWhims(seed)
    city.run()
    assert city.state.orders == {}
    assert city.delivered | city.cancelled == {f"o{i:03}" for i in range(city.orders)}
    assert not city.delivered & city.cancelled
    assert len(city.delivered) > city.orders * 0.8


def test_the_same_seed_decides_the_same() -> None:
    """Two runs make equal decisions, tick by tick."""
    first, second = CityOfWhims(5, orders=30), CityOfWhims(5, orders=30)
    first.run()
    second.run()
    assert first.digest == second.digest


@pytest.mark.parametrize("seed", [1, 2])
def test_orders_of_two_restaurants_on_one_way(seed: int) -> None:
    """With few riders some trips fetch at two counters; still nothing is lost, and no rule is broken."""
    city = CityOfWhims(seed, riders=5, orders=30, params=ON_ONE_WAY)
    city.run()
    assert city.on_one_way > 0
    assert city.state.orders == {}
    assert city.delivered | city.cancelled == {f"o{i:03}" for i in range(city.orders)}
