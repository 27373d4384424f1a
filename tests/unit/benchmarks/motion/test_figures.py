"""Figures that `forno bench motion` makes of its measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.motion import cli, edge, fix_to_screen, growth, index
from benchmarks.record import at_least, at_most, document
from node.geodesy import EARTH_RADIUS_M


def test_figures_are_met_at_their_target_and_not_short_of_it() -> None:
    """At the target counts as met, on either side."""
    assert at_least("rate", 20_000, 20_000, "fixes/s").met
    assert not at_least("rate", 19_999, 20_000, "fixes/s").met
    assert at_most("age", 40, 40, "ms").met
    assert not at_most("age", 40.1, 40, "ms").met


def test_the_document_holds_value_target_peer_and_ratio() -> None:
    """Each figure of the summary stands beside its peer; machine and commit are told."""
    found = document([at_least("pushes", 100.0, 80, "a s", 50.0, "plain")], {"pushes": {"sockets": 1}})
    row = found["summary"]["pushes"]
    assert (row["value"], row["target"], row["peer"], row["ratio"], row["met"]) == (100.0, ">= 80", 50.0, 2.0, True)
    assert found["commit"]
    assert found["machine"]["cpus"]
    assert found["pushes"] == {"sockets": 1}


@pytest.mark.parametrize(
    ("label", "seen", "short"),
    [
        ("as promised", {"frames": 20_000, "orders": 510, "p50_ms": 20.0, "p99_ms": 90.0}, set()),
        ("late", {"frames": 20_000, "orders": 510, "p50_ms": 41.0, "p99_ms": 151.0}, {"p50", "p99"}),
        ("quick because few came", {"frames": 9_000, "orders": 510, "p50_ms": 9.0, "p99_ms": 20.0}, {"fixes seen"}),
        ("nobody watched", {"frames": 0}, {"p50", "p99", "orders watched", "fixes seen"}),
    ],
)
def test_fix_to_screen_counts_only_with_everybody_watching(label: str, seen: dict[str, Any], short: set[str]) -> None:
    """Ages on Apache Kafka, and that enough orders were watched and their fixes seen."""
    found = fix_to_screen.figures({"broker": "apache", "seconds": 40, "screen": seen})
    assert {figure.name.rpartition(", ")[2] for figure in found if not figure.met} == short, label


@pytest.mark.parametrize(
    ("label", "totals_us", "met"),
    [
        ("a fifth dearer", [30.0, 36.0, 33.0], True),
        ("dearer on the way", [30.0, 36.1, 33.0], False),
        ("dearest with the fewest riders", [36.1, 30.0, 33.0], False),
        ("cheapest on the way", [30.0, 24.9, 30.0], False),
    ],
)
def test_growth_is_the_dearest_beside_the_cheapest(label: str, totals_us: list[float], met: bool) -> None:
    """A fifth is allowed, wherever on the curve they are."""
    assert growth.figures({"rows": [{"total_us": total_us} for total_us in totals_us]})[0].met is met, label


def test_a_read_of_the_shard_holds_a_message_of_every_edge() -> None:
    """One edge up to 5,000 riders, 200 for a million."""
    assert [growth.a_read(riders) for riders in (1_000, 5_000, 10_000, 1_000_000)] == [50, 50, 100, 10_000]


def test_messages_and_reads_change_no_index() -> None:
    """Large messages or small ones in one read: the same riders at the same places."""
    large, small = index.Load(300, 2), index.Load(300, 2, message=7, messages_a_read=5)
    large.apply_and_bucket()
    small.apply_and_bucket()
    columns = [load.positions.snapshot(now_ms=60_000).columns for load in (large, small)]
    assert len(columns[0]) == 300
    assert all((getattr(columns[0], name) == getattr(columns[1], name)).all() for name in ("rider_id", "seq", "lat_e7"))


def test_the_peer_gets_the_least_radius_that_suffices() -> None:
    """Within it each place that was asked about has ten riders, and one of them no more."""
    _, asked = index.nearest_under_load(riders=2_000, places=2_000)
    lat, lng = np.radians(asked.lat_e7 * 1e-7), np.radians(asked.lng_e7 * 1e-7)
    rider_lat, rider_lng = np.radians(asked.rider_lat_e7 * 1e-7), np.radians(asked.rider_lng_e7 * 1e-7)
    fewest = []
    for at in range(0, len(lat), 100):  # the distance as Redis has it (haversine)
        here = slice(at, at + 100)
        half = np.sin((lat[here, None] - rider_lat) / 2) ** 2
        half += np.cos(lat[here, None]) * np.cos(rider_lat) * np.sin((lng[here, None] - rider_lng) / 2) ** 2
        distance_m = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(half))
        fewest.append((distance_m <= asked.radius_m + 1e-3).sum(axis=1).min())
    assert min(fewest) == 10


@pytest.mark.parametrize(("offered_per_s", "period_s"), [(0, 0.0), (5_000, 0.2)])
def test_streams_share_what_is_offered(offered_per_s: int, period_s: float) -> None:
    """1,000 streams that offer 5,000 fixes a second send one each 0.2 s; else only their windows hold them up."""
    assert edge.Case("growth", 1, 1_000, 10, 0, offered_per_s).period_s == period_s


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The words name what there is."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--only", "edge,egde"])
    assert ended.value.code == 2
    assert "no section egde" in capsys.readouterr().err
