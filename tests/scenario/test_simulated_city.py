"""Dinner in a small town: simulated people and the real engine, on a clock that is told to go on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from simulator.city.params import RiderParams
from tests.scenario.simulated_city import Life, small_town

#: 20:00 in Santiago.
EVENING_MS = round(datetime(2026, 11, 23, 23, 0, tzinfo=UTC).timestamp() * 1000)


def dinner(seed: int, rider: RiderParams | None = None) -> Life:
    """Half an hour of orders, then time to deliver them."""
    life = Life(small_town(seed, EVENING_MS, rider=rider), EVENING_MS)
    life.run(1800)
    life.run(2400, ordering=False)
    return life


@pytest.mark.parametrize("seed", [1, 2])
def test_everybody_eats_once(seed: int) -> None:
    """Every order is picked up by one rider and delivered once, by the same one."""
    life = dinner(seed)
    assert len(life.placed) > 20
    assert {order for order, _, _ in life.delivered} == life.placed.keys()
    assert Counter(order for order, _ in life.picked_up).most_common(1)[0][1] == 1
    assert {(order, rider) for order, rider, _ in life.delivered} == set(life.picked_up)
    assert not any(rider.busy for rider in life.town.riders)


def test_dinner_is_not_cold() -> None:
    """With riders enough the mean order is at the door within twenty minutes."""
    life = dinner(1)
    minutes = [(at_ms - life.placed[order]) / 60_000 for order, _, at_ms in life.delivered]
    assert sum(minutes) / len(minutes) < 20


def test_the_same_seed_is_the_same_dinner() -> None:
    """City and engine together are a function of the seed."""
    assert dinner(3).delivered == dinner(3).delivered


def test_whims_delay_but_lose_nothing() -> None:
    """Riders who decline every third offer and answer late still deliver everything, after more offers."""
    moody = dinner(1, RiderParams(fix_every_s=10, decline=0.35, answer_s=(5, 40)))
    assert {order for order, _, _ in moody.delivered} == moody.placed.keys()
    assert moody.offers > len(moody.placed)
