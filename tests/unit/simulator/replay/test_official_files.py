"""The official evaluator's files, read back on their own: they say what our strict checker and our figures say.

The reader below knows the rules of the MDRP and the three files, and nothing of ours: it works out every move, pickup
and drop from them. With real instances at hand (`FORNO_MDRP_DIR`, or `../shared/mdrp`) some of those are read too.
"""

from __future__ import annotations

import os
from math import ceil, hypot
from pathlib import Path

import pytest

from simulator.replay.checker import violations
from simulator.replay.instance import Instance, read_instance
from simulator.replay.metrics import measure
from simulator.replay.policy import mdrp_params
from simulator.replay.solution import ASSIGNMENTS, COURIERS, ORDERS, write_solution
from simulator.replay.world import replay
from tests.unit.simulator.replay.worlds import random_instance

DATA = Path(os.environ.get("FORNO_MDRP_DIR", Path(__file__).parents[5] / "shared" / "mdrp"))
REAL = ("1o50t100s1p100", "2r50t75s2p125")


class Read:
    """A solution folder beside its instance."""

    def __init__(self, folder: Path, instance: Instance) -> None:
        self.instance = instance
        self.orders = {row[0]: row[1:] for row in _rows(folder / ORDERS)}
        self.assignments = _rows(folder / ASSIGNMENTS)
        self.moves = [(c, int(t), a, b) for c, t, a, b in _rows(folder / COURIERS)]
        self.places = dict(instance.restaurants) | {o.name: o.xy for o in instance.orders}
        self.places |= {c.name: c.xy for c in instance.couriers}

    def way(self, a: str, b: str) -> int:
        (ax, ay), (bx, by) = self.places[a], self.places[b]
        return ceil(hypot(ax - bx, ay - by) / self.instance.rules.metres_per_minute - 1e-9)

    def figures(self) -> dict[str, float]:
        """Click-to-door, ready-to-pickup, share undelivered, orders a bundle: from the file of orders alone."""
        done = [row for row in self.orders.values() if row[3] != "nan"]
        return {
            "click_to_door_mean_min": sum(int(r[4]) - int(r[0]) for r in done) / len(done),
            "ready_to_pickup_mean_min": sum(int(r[3]) - int(r[2]) for r in done) / len(done),
            "undelivered_pct": 100 * (1 - len(done) / len(self.orders)),
            "orders_per_bundle": len(done) / len(self.assignments),
        }

    def mistakes(self) -> list[str]:
        """Whatever the files say that the rules do not allow."""
        found = []
        rules = self.instance.rules
        off = {c.name: c.off for c in self.instance.couriers}
        for courier in self.instance.couriers:
            place = courier.name
            for _, at, origin, destination in [m for m in self.moves if m[0] == courier.name]:
                if origin != place or at < courier.on:
                    found.append(f"{courier.name} left {origin} at {at}, was at {place}")
                place = destination
        for assigned, pickup, carrier, *bundle in self.assignments:
            rows = [self.orders[o] for o in bundle]
            if len({row[1] for row in rows}) > 1 or any(row[5] != carrier for row in rows):
                found.append(f"bundle {bundle} of {carrier}")
            if int(pickup) > off[carrier] or int(pickup) < max(int(row[2]) for row in rows):
                found.append(f"pickup of {bundle} at {pickup}")
            if int(assigned) < max(int(row[0]) for row in rows):
                found.append(f"{bundle} assigned at {assigned}, before it was placed")
            left, place = int(pickup) + rules.pickup_service // 2, rows[0][1]
            for order in bundle:
                dropped = left + self.way(place, order) + rules.dropoff_service // 2
                if int(self.orders[order][4]) != dropped:
                    found.append(f"{order} dropped at {self.orders[order][4]}, must be {dropped}")
                left, place = dropped + rules.dropoff_service // 2, order
        return found


def _rows(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text(encoding="utf-8").splitlines()[1:]]


def agree(instance: Instance, folder: Path) -> None:
    """Replay, write, read back: both find no mistake, and the figures are the same."""
    history = replay(instance, mdrp_params(instance.rules))
    write_solution(folder, instance, history)
    read, ours = Read(folder, instance), measure(instance, history)
    assert violations(instance, history) == []
    assert read.mistakes() == []
    for name, value in read.figures().items():
        assert value == pytest.approx(getattr(ours, name), abs=1e-4), name


@pytest.mark.parametrize("seed", [1, 2])
def test_random_instances_agree(seed: int, tmp_path: Path) -> None:
    """Two busy afternoons."""
    agree(random_instance(seed), tmp_path)


@pytest.mark.parametrize("name", REAL)
def test_real_instances_agree(name: str, tmp_path: Path) -> None:
    """A hard one and an easy one."""
    if not (DATA / name).is_dir():
        pytest.skip(f"no MDRPLib instances in {DATA}: clone github.com/grubhub/mdrplib and set FORNO_MDRP_DIR")
    agree(read_instance(DATA / name), tmp_path)


def test_a_mistake_is_seen(tmp_path: Path) -> None:
    """A drop a minute too early in the file is found: the reader looks at all of it."""
    instance = random_instance(1)
    history = replay(instance, mdrp_params(instance.rules))
    write_solution(tmp_path, instance, history)
    drop = history.drops[0]
    text = (tmp_path / ORDERS).read_text()
    (tmp_path / ORDERS).write_text(text.replace(f" {drop.at} {drop.courier}", f" {drop.at - 1} {drop.courier}", 1))
    assert Read(tmp_path, instance).mistakes() != []
