"""Who should own what."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry, first_claimants, ranking


def a_map(cities: int, shards: int, *, dead: int = 0) -> CityMap:
    """Orphan cities and shards, the last `dead` of which have no lease."""
    entries = [CityEntry(f"city-{n}", f"City {n}", n, "UTC", "EUR", 0, 0) for n in range(cities)]
    living = [ShardEntry(f"shard-{n}", f"h:{n}", n < shards - dead, 0) for n in range(shards)]
    return CityMap(1, {c.city: c for c in entries}, {s.shard_id: s for s in living})


@pytest.mark.parametrize(("cities", "shards"), [(2, 2), (3, 2), (10, 3), (400, 20)])
def test_first_claims_are_even(cities: int, shards: int) -> None:
    """No shard is first in line for more than its even share."""
    firsts = [order[0] for order in first_claimants(a_map(cities, shards)).values()]
    assert len(firsts) == cities
    assert max(firsts.count(shard) for shard in set(firsts)) <= math.ceil(cities / shards)


def test_dead_shards_are_not_asked() -> None:
    """Only shards with a living lease stand in line, all of them."""
    for order in first_claimants(a_map(12, 4, dead=2)).values():
        assert sorted(order) == ["shard-0", "shard-1"]


def test_no_shard_no_claim() -> None:
    """Without a living shard there is no line."""
    assert first_claimants(a_map(3, 2, dead=2)) == {}


def test_a_shard_that_goes_takes_only_its_own_along() -> None:
    """Rendezvous hashing: removing a shard changes no other city's first choice."""
    shards = [f"shard-{n}" for n in range(5)]
    for n in range(200):
        before = ranking(f"city-{n}", dict.fromkeys(shards, 1.0))
        gone = "shard-3"
        after = ranking(f"city-{n}", {s: 1.0 for s in shards if s != gone})
        assert after == [s for s in before if s != gone]


def test_a_shard_of_twice_the_weight_is_first_twice_as_often() -> None:
    """Weighted rendezvous hashing: first places go by weight."""
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    firsts = [ranking(f"city-{n}", weights)[0] for n in range(6000)]
    for shard, weight in weights.items():
        assert firsts.count(shard) == pytest.approx(1000 * weight, rel=0.1)


def test_a_loaded_shard_stands_back() -> None:
    """Orphans go to where there is room by load, not by the number of cities."""
    map_ = a_map(10, 2)
    heavy = replace(map_.cities["city-0"], owner="shard-0", load=CityLoad(riders=10_000))
    order = first_claimants(replace(map_, cities={**map_.cities, "city-0": heavy}))
    assert {ranked[0] for ranked in order.values()} == {"shard-1"}


def test_a_draining_shard_gets_nothing() -> None:
    """It stands in no line, even alone."""
    map_ = a_map(3, 2)
    drained = {name: replace(shard, draining=name == "shard-0") for name, shard in map_.shards.items()}
    assert {tuple(ranked) for ranked in first_claimants(replace(map_, shards=drained)).values()} == {("shard-1",)}


def test_a_city_whose_target_died_goes_back() -> None:
    """The owner that had let it go is first in line, whatever the hashes say."""
    map_ = a_map(40, 3, dead=1)
    move = Move(1, "", "shard-1", "shard-2", 1, "ops", MoveState.RELEASED, 0)
    moving = {name: replace(city, moving_to="shard-2", move=move) for name, city in map_.cities.items()}
    assert {ranked[0] for ranked in first_claimants(replace(map_, cities=moving)).values()} == {"shard-1"}
