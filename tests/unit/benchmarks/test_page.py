"""The page of recorded runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.dispatch.published import HARD
from benchmarks.page import page
from benchmarks.record import Figure, at_least, at_most, document
from tests.unit.simulator.replay.worlds import one_courier_two_orders, write_instance


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


def test_a_figure_without_a_target_is_told_not_judged() -> None:
    """Neither on the page nor in the terminal does it count as met."""
    told = Figure("share of a bare sink", 0.531, "of it")
    assert told.cells() == ("told", "0.531 of it", "none", "share of a bare sink")
    assert "| share of a bare sink | 0.531 of it | none |  |  |  |" in page([("motion", document([told], {}))])


def test_published_figures_stand_beside_ours(tmp_path: Path) -> None:
    """Of a run over instances, also without and with couriers sent to wait."""
    write_instance(tmp_path / "in" / HARD, one_courier_two_orders())
    report = tmp_path / "report.json"
    words = ["dispatch", "--instances", str(tmp_path / "in"), "--no-ticks", "--waiting", "--jobs", "1"]
    assert main([*words, "--json", str(report)]) == 0
    text = page([("dispatch", json.loads(report.read_text()))])
    assert f"| {HARD} (hard) | 1/1 | 19.50 | 38.24 |" in text
    assert "| click_to_door_mean_min | 19.500 | 19.500 |" in text


MACHINE = '"machine": {"cpus": 2, "machine": "x86_64", "python": "3.11"}'
NO_REPORTS = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    "\ud800",
    '{"machine": 1, "summary": {}}',
    f'{{{MACHINE}, "commit": "1", "summary": []}}',
    f'{{{MACHINE}, "commit": 1, "summary": {{"p99": {{"target": "<= 1"}}}}}}',
    f'{{{MACHINE}, "commit": "1", "summary": {{"p99": {{"target": "<= 1", "value": "x", "met": []}}}}}}',
    json.dumps(document([], {}, {"mae_s": 50.3})),
]


@pytest.mark.parametrize("verb", [["page"], ["scale", "--from"]], ids=" ".join)
@pytest.mark.parametrize("odd", NO_REPORTS)
def test_what_is_no_report_is_refused(
    odd: str, verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2 and the reason in one line with the file; nothing is written."""
    (tmp_path / "odd.json").write_bytes(odd.encode("utf-8", "surrogatepass"))
    out = ["--out" if verb == ["page"] else "--page", str(tmp_path / "page.md")]
    assert main([*verb, str(tmp_path / "odd.json"), *out]) == 2
    said = capsys.readouterr().err
    assert "odd.json: " in said
    assert said.count("\n") == 1
    assert not (tmp_path / "page.md").exists()
