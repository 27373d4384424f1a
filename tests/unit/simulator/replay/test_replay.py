"""Whole days through the engine: no rule broken, no look-ahead, the same every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.replay.checker import violations
from simulator.replay.cli import main
from simulator.replay.history import History
from simulator.replay.instance import InstanceOrder
from simulator.replay.metrics import measure
from simulator.replay.policy import mdrp_params
from simulator.replay.world import replay
from tests.unit.simulator.replay.worlds import one_courier_two_orders, random_instance, write_instance


@pytest.mark.parametrize("strategy", ["packing", "assignment", "greedy"])
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_is_broken(seed: int, strategy: str) -> None:
    """Random busy afternoons, every strategy: the checker finds nothing and something is delivered."""
    instance = random_instance(seed)
    history = replay(instance, mdrp_params(instance.rules, strategy))
    assert violations(instance, history) == []
    assert len(history.drops) > len(instance.orders) / 2


def test_two_orders_of_one_counter_share_a_trip() -> None:
    """The tiny instance is answered as by hand."""
    instance = one_courier_two_orders()
    history = replay(instance, mdrp_params(instance.rules))
    assert violations(instance, history) == []
    assert [(d.at, d.order) for d in history.drops] == [(17, "o1"), (23, "o2")]


def until(history: History, minute: int) -> tuple[list[object], ...]:
    """All that was decided or done before a minute."""
    return (
        [c for c in history.commitments if c.at < minute],
        [p for p in history.pickups if p.at < minute],
        [m for m in history.moves if m.departed < minute],
    )


@pytest.mark.parametrize("minute", [50, 120])
def test_a_poisoned_future_changes_nothing_before_it(minute: int) -> None:
    """Fifteen more orders from a minute on leave every decision before that minute as it was."""
    instance = random_instance(4)
    poison = tuple(InstanceOrder(f"x{i}", (10 * i, 0), minute, "r0", minute + 1) for i in range(15))
    params = mdrp_params(instance.rules)
    plain = replay(instance, params)
    poisoned = replay(replace(instance, orders=(*instance.orders, *poison)), params)
    assert until(poisoned, minute) == until(plain, minute)
    assert poisoned.commitments != plain.commitments


@pytest.mark.parametrize("minute", [50, 120])
def test_a_poisoned_kitchen_and_roster_change_nothing_before_they_are_announced(minute: int) -> None:
    """Food ordered from a minute on takes 20 minutes longer, and who comes from then on leaves after ten: nobody is
    told before the order is placed and the courier has come, so until then every decision is as it was."""
    instance = random_instance(4, couriers=12)
    couriers = tuple(replace(c, on=c.on + 3 * i * (i % 2)) for i, c in enumerate(instance.couriers))
    instance = replace(instance, couriers=couriers)
    assert any(c.on >= 50 for c in couriers)
    slow = tuple(replace(o, ready=o.ready + 20) if o.placed >= minute else o for o in instance.orders)
    short = tuple(replace(c, off=c.on + 10) if c.on >= minute else c for c in couriers)
    params = mdrp_params(instance.rules)
    plain = replay(instance, params)
    poisoned = replay(replace(instance, orders=slow, couriers=short), params)
    assert until(poisoned, minute) == until(plain, minute)
    assert poisoned.commitments != plain.commitments


def test_bundles_carry_more_than_single_trips() -> None:
    """Two couriers for forty orders: packing delivers more than one order a trip does."""
    instance = random_instance(5, couriers=2)
    packed = measure(instance, replay(instance, mdrp_params(instance.rules)))
    single = measure(instance, replay(instance, mdrp_params(instance.rules, "assignment")))
    assert packed.undelivered_pct < single.undelivered_pct
    assert packed.orders_per_bundle > 1


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """The command's exit code, output and errors."""
    code = main(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_json_is_the_same_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All promised keys, no violations, and byte-equal but for the wall time."""
    folder = write_instance(tmp_path / "random-2", random_instance(2))
    reports = []
    for _ in range(2):
        code, out, _ = run(capsys, str(folder), "--json")
        assert code == 0
        reports.append(json.loads(out))
    for report in reports:
        assert report.pop("wall_s") >= 0
    assert reports[0] == reports[1]
    assert reports[0]["violations"] == 0
    assert {
        "orders",
        "undelivered_pct",
        "click_to_door_mean_min",
        "click_to_door_p90_min",
        "ready_to_pickup_mean_min",
        "cost_per_order",
        "orders_per_bundle",
        "utilisation",
        "over_max_pct",
    } <= set(reports[0])


def test_table_and_solution_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json a table is printed; the solution folder is made."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    code, out, _ = run(capsys, str(folder), "--solution", str(tmp_path / "a" / "b"))
    assert code == 0
    assert "click_to_door_mean_min" in out
    assert len(list((tmp_path / "a" / "b").iterdir())) == 3


def test_a_bad_folder_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, one line, no traceback."""
    folder = write_instance(tmp_path / "tiny", one_courier_two_orders())
    (folder / "couriers.txt").write_text("courier\tx\ty\ton_time\toff_time\nc1\t0\tzero\t0\t9\n")
    code, out, err = run(capsys, str(folder), "--json")
    assert (code, out) == (2, "")
    assert err.strip().endswith("couriers.txt:2: y is no whole number: 'zero'")
