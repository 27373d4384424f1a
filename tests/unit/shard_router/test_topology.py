"""Who should own what."""

from __future__ import annotations

import math

import pytest

from shard_router.topology import CityEntry, CityMap, ShardEntry, first_claimants, ranking


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
        before = ranking(f"city-{n}", shards)
        gone = "shard-3"
        after = ranking(f"city-{n}", [s for s in shards if s != gone])
        assert after == [s for s in before if s != gone]
