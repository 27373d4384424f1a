"""The page of recorded runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.record import Figure, at_least, at_most, document


def test_every_figure_stands_there_missed_ones_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With unit, target, peer and ratio; plain values of the summary follow in a line."""
    figures = [
        at_least("pushes", 88_756, 80_000, "pushes/CPU s", 94_230, "plain loop"),
        at_most("age, p99", 162.5, 150, "ms"),
        Figure("under p90", 0.891, "of all", 0.87, 0.93),
    ]
    (tmp_path / "motion.json").write_text(json.dumps(document(figures, {}, {"orders": 540, "model": "road"})))
    assert main(["page", str(tmp_path / "motion.json"), "--out", str(tmp_path / "page.md")]) == 0
    text = (tmp_path / "page.md").read_text()
    assert "## forno bench motion" in text
    assert "| pushes | 88,756 pushes/CPU s | >= 80,000 | met | plain loop 94,230 | 0.942 |" in text
    assert "| age, p99 | 162.5 ms | <= 150 | **missed** |  |  |" in text
    assert "| under p90 | 0.891 of all | 0.87..0.93 | met |  |  |" in text
    assert "Also: orders 540." in text


def test_what_is_no_report_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and the reason; nothing is written."""
    (tmp_path / "odd.json").write_text("{}")
    assert main(["page", str(tmp_path / "odd.json"), "--out", str(tmp_path / "page.md")]) == 2
    assert "not a report of a bench" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
