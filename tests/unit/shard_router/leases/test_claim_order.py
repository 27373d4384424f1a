"""Which shard claims which city that nobody owns, and from when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shard_router.leases.claim_order import claim_places, start_wait_left_s
from shard_router.leases.timing import START_GAP_S, START_WAIT_S
from shard_router.plans.plan import balance, default_target
from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry


def a_map(cities: int, shards: int, *, dead: int = 0) -> CityMap:
    """Orphan cities and shards, the last `dead` of which have no lease."""
    entries = [CityEntry(f"city-{n}", f"City {n}", n, "UTC", "EUR", 0, 0) for n in range(cities)]
    living = [ShardEntry(f"shard-{n}", f"h:{n}", n < shards - dead, 0) for n in range(shards)]
    return CityMap(1, {c.city: c for c in entries}, {s.shard_id: s for s in living})


def lines(map_: CityMap) -> dict[str, list[str]]:
    """Who may claim each orphan, in order, when no open shard waits for others."""
    shards = map_.open_shards()
    places = {shard: claim_places(map_, shards, shard) for shard in shards}
    return {city: sorted(shards, key=lambda shard: places[shard][city]) for city in next(iter(places.values()), {})}


def simple_lines(map_: CityMap) -> dict[str, list[str]]:
    """The same, all shards sorted anew for each orphan."""
    orphans, carried = map_.orphans(), dict.fromkeys(sorted(map_.open_shards()), 0)
    reserved = {city.city: city.moving_to for city in orphans if map_.alive(city.moving_to)}
    for city in map_.cities.values():
        bearer = city.owner if map_.alive(city.owner) else reserved.get(city.city)
        if bearer in carried:
            carried[bearer] += city.load.burden
    found: dict[str, list[str]] = {}
    for city in sorted(orphans, key=lambda entry: (-entry.load.burden, entry.city)):
        if carried and city.city not in reserved:
            former = city.move.from_shard if city.move is not None else None
            found[city.city] = sorted(carried, key=lambda shard: (shard != former, carried[shard], shard))
            carried[found[city.city][0]] += city.load.burden
    return found


@pytest.mark.parametrize("cities", [1, 2, 3, 9, 20, 401])
@pytest.mark.parametrize("shards", [1, 2, 3, 4, 20])
def test_first_claims_are_even(cities: int, shards: int) -> None:
    """Counts of first places differ by one at most."""
    firsts = Counter(line[0] for line in lines(a_map(cities, shards)).values())
    assert firsts.total() == cities
    assert max(firsts.values()) - min(firsts[f"shard-{n}"] for n in range(shards)) <= 1


def test_dead_shards_are_not_asked() -> None:
    """Only shards with a living lease stand in line, all of them."""
    for line in lines(a_map(12, 4, dead=2)).values():
        assert sorted(line) == ["shard-0", "shard-1"]


def test_no_shard_no_claim() -> None:
    """Without a living shard there is no line."""
    assert lines(a_map(3, 2, dead=2)) == {}


def test_a_loaded_shard_stands_back() -> None:
    """Orphans go to where there is room by load, not by the number of cities."""
    map_ = a_map(10, 2)
    heavy = replace(map_.cities["city-0"], owner="shard-0", load=CityLoad(riders=10_000))
    loaded = replace(map_, cities={**map_.cities, "city-0": heavy})
    assert {line[0] for line in lines(loaded).values()} == {"shard-1"}


def test_a_draining_shard_gets_nothing() -> None:
    """It stands in no line, even alone."""
    map_ = a_map(3, 2)
    drained = {name: replace(shard, draining=name == "shard-0") for name, shard in map_.shards.items()}
    assert list(lines(replace(map_, shards=drained)).values()) == [["shard-1"]] * 3


def test_a_city_whose_target_died_goes_back() -> None:
    """The owner that had let it go is first in line, whatever the hashes say."""
    map_ = a_map(40, 3, dead=1)
    move = Move(1, "", "shard-1", "shard-2", 1, "ops", MoveState.RELEASED, 0)
    moving = {name: replace(city, moving_to="shard-2", move=move) for name, city in map_.cities.items()}
    assert {line[0] for line in lines(replace(map_, cities=moving)).values()} == {"shard-1"}


def test_a_city_that_waits_for_its_target_is_nobody_elses() -> None:
    """It stands in no line and counts as the target's load."""
    map_ = a_map(3, 2)
    move = Move(1, "city-0", "shard-9", "shard-0", 1, "ops", MoveState.RELEASED, 0)
    coming = replace(map_.cities["city-0"], moving_to="shard-0", move=move)
    order = lines(replace(map_, cities={**map_.cities, "city-0": coming}))
    assert order["city-1"][0] == "shard-1"
    assert "city-0" not in order


SHARDS = st.none() | st.sampled_from([f"shard-{n}" for n in range(5)])
LOADS = st.integers(0, 3).map(lambda riders: CityLoad(riders=30 * riders))


@given(
    st.lists(st.tuples(SHARDS, SHARDS, SHARDS, LOADS), max_size=12),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5),
)
def test_the_order_is_that_of_the_simple_form(
    cities: list[tuple[str | None, str | None, str | None, CityLoad]], shards: list[tuple[bool, bool]]
) -> None:
    """Whoever owns the cities, wherever they are to go, whoever let them go, and whatever they weigh."""
    map_ = a_map(len(cities), len(shards))
    for entry, (owner, to, former, load) in zip(list(map_.cities.values()), cities, strict=True):
        move = Move(1, entry.city, former, to, 1, "ops", MoveState.RELEASED, 0) if to is not None else None
        moving = replace(entry, owner=owner, moving_to=to, move=move, load=load)
        map_ = replace(map_, cities={**map_.cities, entry.city: moving})
    for shard, (alive, draining) in zip(list(map_.shards.values()), shards, strict=True):
        changed = replace(shard, alive=alive, draining=draining)
        map_ = replace(map_, shards={**map_.shards, shard.shard_id: changed})
    assert lines(map_) == simple_lines(map_)


@pytest.mark.parametrize(
    ("up_s", "expected", "left_s"),
    [
        pytest.param([0.0], 1, [START_GAP_S], id="alone, just begun"),
        pytest.param([5.0], 1, [START_GAP_S - 5], id="alone, for long"),
        pytest.param([1.4, 0.0], 1, [START_GAP_S, START_GAP_S], id="the second comes just in time"),
        pytest.param([2.6, 1.3, 0.0], 1, [START_GAP_S] * 3, id="each waits for the last, who knew only the second"),
        pytest.param([1.5, 0.0], 1, [0.0, START_GAP_S], id="the second comes too late"),
        pytest.param([60.0, 0.5], 1, [START_GAP_S - 60, START_GAP_S - 0.5], id="one joins later"),
        pytest.param([14.9 - n for n in range(15)], 1, [START_WAIT_S - 14.9] * 15, id="they keep arriving"),
        pytest.param([6.0], 2, [START_WAIT_S - 6], id="one of two expected"),
        pytest.param([6.0, 0.2], 2, [START_GAP_S - 0.2] * 2, id="both of two expected, far apart"),
        pytest.param([20.0], 2, [START_WAIT_S - 20], id="the other never came"),
    ],
)
def test_shards_that_come_up_together_wait_for_each_other(
    up_s: Sequence[float], expected: int, left_s: Sequence[float]
) -> None:
    """From how long each lease has lived to how long each shard waits."""
    ages_ms = {f"s{n}": round(1000 * s) for n, s in enumerate(up_s)}
    shards = {name: ShardEntry(name, "", True, 0, up_ms=ms, known_ms=ms) for name, ms in ages_ms.items()}
    found = start_wait_left_s(CityMap(1, {}, shards), expected)
    assert [found[name] for name in shards] == pytest.approx(left_s)


def test_who_has_ever_been_there_is_waited_for_no_more() -> None:
    """Expected shards are those of the very first start: one that died since does not hold up a failover."""
    a = ShardEntry("a", "", True, 0, up_ms=5_000, known_ms=5_000)
    dead = ShardEntry("b", "", False, 3_000, up_ms=4_000, known_ms=4_000)
    again = replace(dead, alive=True, up_ms=100)
    assert start_wait_left_s(CityMap(1, {}, {"a": a, "b": dead}), 2) == {"a": pytest.approx(START_GAP_S - 4)}
    assert start_wait_left_s(CityMap(1, {}, {"a": a, "b": again}), 2) == pytest.approx(
        {"a": START_GAP_S - 4, "b": START_GAP_S - 0.1}
    )


def test_a_shard_that_joins_later_gets_its_share_by_a_plan() -> None:
    """It claims nothing that others own; a plan moves half of it."""
    map_ = a_map(4, 2)
    owned = replace(map_, cities={name: replace(city, owner="shard-0") for name, city in map_.cities.items()})
    assert lines(owned) == {}
    steps = balance(owned, default_target(owned))
    assert [(step.from_shard, step.to_shard) for step in steps] == [("shard-0", "shard-1")] * 2
