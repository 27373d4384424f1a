"""What `forno bench motion` makes of its measurements."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.motion import cli, growth, screen
from benchmarks.record import at_least, at_most, document


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
    found = screen.figures({"broker": "apache", "seconds": 40, "screen": seen})
    assert {figure.name.rpartition(", ")[2] for figure in found if not figure.met} == short, label


def test_growth_is_the_dearest_beside_the_cheapest() -> None:
    """A fifth more is allowed, wherever on the curve it is."""
    rows = [{"total_us": 30.0}, {"total_us": 36.0}, {"total_us": 33.0}]
    assert growth.figures({"rows": rows})[0].met
    assert not growth.figures({"rows": [*rows, {"total_us": 37.0}]})[0].met


def test_an_unknown_section_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The words name what there is."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--only", "edge,egde"])
    assert ended.value.code == 2
    assert "no section egde" in capsys.readouterr().err
