"""The control plane in virtual time on a small planet, and the page that a run writes."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from benchmarks.scale.cli import arithmetic
from benchmarks.scale.control import CallCosts, planet, storm
from benchmarks.scale.costs import Costs
from benchmarks.scale.database import MapCosts
from benchmarks.scale.model import Planet, stores, tick_ms
from benchmarks.scale.page import page
from benchmarks.scale.rebalance import rebalance
from benchmarks.scale.rows import ORDERS, lives
from dispatch.engine.tracks import ResultKind
from shard_router.leases.timing import LEASE_S
from shard_router.topology import Ownership

COSTS = Costs(
    edge_us_a_fix=50.0,
    shard_us_a_fix=0.3,
    feed_us_a_fix=1.0,
    push_us=10.0,
    push_bytes=150.0,
    tick_ms={"100": 5.0, "1000": 50.0},
    order_cpu_ms={"orders": 1.0, "payments": 1.0, "postgres": 2.0},
    fix_log_bytes=48.0,
    event_log_bytes=500.0,
    order_written_bytes=18_000.0,
    order_kept_bytes=13_000.0,
    tick_written_bytes=900.0,
    tick_kept_bytes=300.0,
    redis_bytes_a_rider=180.0,
    trail_bytes_a_rider_minute=2_800.0,
)


#: A small map's: a shard reads it in 2 ms and ranks forty cities in as many.
CALLS = CallCosts(beat_s=0.002, claim_s=0.001, beat_shard_s=0.002, rank_first_s=1e-5, rank_again_s=5e-6)


def test_a_storm_ends_with_every_city_owned() -> None:
    """Half of eight shards die: their cities run again within the lease, the claims and the take, evenly enough."""
    done = storm(cities=40, shards=8, riders=4_000, killed=4, costs=CALLS)
    assert done.orphans > 0
    assert done.claims - done.claims_lost >= done.orphans
    assert 3.0 <= done.owned_s <= 8.0
    assert done.curve[-1][1] == 0
    assert done.load_max_over_mean < 2


def test_a_shard_s_own_work_on_the_map_takes_its_time() -> None:
    """Shards that rank for a second and read for half a one have every city again later by more than a second."""
    slow = replace(CALLS, beat_shard_s=0.5, rank_first_s=1.0 / (10 * 7), rank_again_s=0.5 / (10 * 7))
    quick_s, slow_s = (storm(cities=80, shards=8, riders=8_000, killed=1, costs=c).owned_s for c in (CALLS, slow))
    assert quick_s > LEASE_S
    assert slow_s > quick_s + 1.0


def test_the_biggest_cities_are_cut_into_zones() -> None:
    """No zone has more riders than a zone may, and nobody is lost by the cut but by rounding."""
    entries, loads = planet(cities=50, riders=200_000)
    assert len(entries) > 50
    assert max(load.riders for load in loads.values()) <= 5_000
    assert sum(load.riders for load in loads.values()) > 199_000
    assert len({entry.partition for entry in entries}) == len(entries)


def test_a_plan_evens_out_a_planet_that_woke() -> None:
    """After it no shard is above the target, and there is nothing left to move."""
    moves = rebalance(cities=60, shards=6, riders=30_000)
    assert moves["max_over_mean_after"] <= moves["max_over_mean_before"]
    assert moves["second_plan"] == 0


def test_ticks_go_by_straight_lines_between_the_measured_ones() -> None:
    """Between, at, and beyond."""
    assert tick_ms(COSTS, 100) == 5.0
    assert tick_ms(COSTS, 550) == 27.5
    assert tick_ms(COSTS, 1_900) == 95.0


def test_ticks_that_contradict_themselves_are_refused() -> None:
    """More orders for less CPU: no straight line through them means anything."""
    with pytest.raises(ValueError, match="ticks of more orders cost less"):
        replace(COSTS, tick_ms={"100": 9.1, "300": 59.4, "1000": 51.6})


def test_rows_are_those_of_whole_lives() -> None:
    """Every order of the weighed city is assigned, carried and delivered, each offer with its decision record."""
    commits = list(lives(Ownership("la-serena", 0, 1)))
    told = [result for commit in commits for result in commit.tracks.results]
    for kind in (ResultKind.ASSIGNED, ResultKind.PICKED_UP, ResultKind.DELIVERED):
        assert len({result.order_id for result in told if result.kind is kind}) == ORDERS
    explained = [order_id for commit in commits for record in commit.records for order_id in record.order_ids]
    assert len(set(explained)) == ORDERS
    assert [commit.tick for commit in commits] == list(range(1, len(commits) + 1))


def test_stores_add_up() -> None:
    """Ticks are written whatever is ordered; Redis's memory is told, and what nobody measured is not."""
    by_name = {(store.server, store.what): store for store in stores(COSTS, Planet())}
    ticks = by_name["Postgres core", "ticks"]
    assert ticks.mb_a_s == pytest.approx(5_064 * 900 / 1e6, rel=0.01)
    assert ticks.kept_gb == pytest.approx(5_064 * 300 * 72 * 3_600 * 3 / 1e9, rel=0.01)
    geo = by_name["Redis", "GEO views"]
    assert geo.mb_a_s is None
    assert geo.kept_gb == pytest.approx(Planet().riders * 180 * 2 / 1e9)


def test_the_page_is_written_of_a_run() -> None:
    """Every place of the template has its figure."""
    asked = Planet()
    done = storm(cities=10, shards=3, riders=500, killed=1, costs=CALLS)
    report = {
        "machine": {"cpus": 2, "machine": "x86_64", "python": "3.11", "load_average_at_end": (0.5, 0.5, 0.5)},
        "commit": "0123456789abcdef",
        "planet": asdict(asked) | {"riders": asked.riders, "watchers": asked.watchers},
        "costs": asdict(COSTS),
        "map": asdict(MapCosts(4_000, 200, 600_000, 150.0, 20.0, 30.0, 1.0, 50.0, 30.0, 90_000, 300.0)),
        "storms": [asdict(done)],
        "rebalance": rebalance(cities=20, shards=4, riders=2_000),
        **arithmetic(COSTS, asked),
    }
    text = page(report)
    assert "10,000,000" in text
    assert "500,000,000" in text
    assert "{" not in text
    assert f"| 1 | {done.orphans} |" in text
