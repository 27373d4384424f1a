"""`forno bench dispatch` on small folders: figures, targets, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.dispatch.published import HARD, TABLE_4, TARGETS
from benchmarks.dispatch.ticks import measure_ticks
from tests.unit.simulator.replay.worlds import one_courier_two_orders, write_instance


def test_summary_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Means over the instances, no violation, exit 0; the JSON names machine and commit."""
    for name in ("a", "b"):
        write_instance(tmp_path / "in" / name, one_courier_two_orders())
    report = tmp_path / "report.json"
    assert (
        main(["dispatch", "--instances", str(tmp_path / "in"), "--json", str(report), "--jobs", "1", "--no-ticks"]) == 0
    )
    figures = json.loads(report.read_text())
    summary = figures["summary"]
    assert summary["instances"] == 2
    assert summary["click_to_door_mean_min"] == 19.5
    assert summary["violations"] == 0
    assert [n for n, row in summary.items() if isinstance(row, dict) and "target" in row] == ["folder: rules broken"]
    assert {"machine", "commit"} <= set(figures)
    assert "click_to_door_mean_min" in capsys.readouterr().out


def test_a_missed_target_is_exit_1(tmp_path: Path) -> None:
    """The hard instance by name alone: a courier who is off before the food is ready delivers nothing."""
    folder = write_instance(tmp_path / "in" / HARD, one_courier_two_orders())
    (folder / "couriers.txt").write_text("courier\tx\ty\ton_time\toff_time\nc1\t0\t0\t0\t5\n")
    assert main(["dispatch", "--instances", str(tmp_path / "in"), "--jobs", "1", "--no-ticks"]) == 1


def test_nothing_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder, and an unknown benchmark, are exit 2."""
    assert main(["dispatch", "--instances", str(tmp_path)]) == 2
    assert main(["nonsense"]) == 2
    assert "forno bench" in capsys.readouterr().err


def test_published_means_are_those_of_the_paper() -> None:
    """Table 4's rows average to the figures the paper is quoted with."""
    assert sum(p.click_to_door for p in TABLE_4.values()) / 16 == pytest.approx(31.88, abs=0.01)
    assert sum(p.best_click_to_door for p in TABLE_4.values()) / 16 == pytest.approx(30.67, abs=0.01)
    assert TARGETS["table 4"]["click_to_door_mean_min"].peer == 31.88


def test_sparse_candidates_cost_next_to_nothing() -> None:
    """On a small snapshot the engine's candidates lose less than 1% against every pair."""
    figures = measure_ticks(60, rounds=2, peers=1)
    assert figures.cost_over_dense_pct is not None
    assert figures.cost_over_dense_pct < 1.0
