"""Decisions on a folder of MDRPLib instances, replayed in parallel processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dispatch.published import ALL, HARD, TABLE_4, TARGETS
from simulator.replay.checker import violations
from simulator.replay.instance import read_instance
from simulator.replay.metrics import Metrics, measure
from simulator.replay.policy import mdrp_params
from simulator.replay.world import replay

MEANS = (
    "click_to_door_mean_min",
    "ready_to_pickup_mean_min",
    "undelivered_pct",
    "over_max_pct",
    "cost_per_order",
    "orders_per_bundle",
    "utilisation",
    "floor_min",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One instance: its figures, broken rules, and the CPU seconds it took."""

    instance: str
    metrics: Metrics
    violations: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Quality:
    """All rows by name, and the wall seconds of the whole run."""

    rows: tuple[Row, ...]
    wall_s: float


def instances(folder: Path) -> list[Path]:
    """Sub-folders that hold an instance, the largest first so that the last ones end together."""
    found = [p.parent for p in folder.glob("*/orders.txt")]
    return sorted(found, key=lambda p: (-(p / "orders.txt").stat().st_size, p.name))


def run_one(folder: Path) -> Row:
    """Replay and check one instance."""
    begun = time.process_time()
    instance = read_instance(folder)
    history = replay(instance, mdrp_params(instance.rules))
    cpu_s = round(time.process_time() - begun, 2)
    return Row(instance.name, measure(instance, history), len(violations(instance, history)), cpu_s)


def run_all(folders: list[Path], jobs: int, progress: Callable[[Row], None]) -> Quality:
    """Replay all of them; `progress` hears of each as it ends."""
    begun = time.monotonic()
    rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_one, folder) for folder in folders]):
            rows.append(done.result())
            progress(rows[-1])
    return Quality(tuple(sorted(rows, key=lambda r: r.instance)), round(time.monotonic() - begun, 1))


def means(rows: list[Row]) -> dict[str, float]:
    """Means over instances of each instance's figure."""
    return {name: round(sum(getattr(r.metrics, name) for r in rows) / len(rows), 4) for name in MEANS}


def groups(rows: tuple[Row, ...]) -> dict[str, list[Row]]:
    """Named groups that are complete."""
    by_name = {r.instance: r for r in rows}
    found: dict[str, list[Row]] = {}
    if by_name.keys() >= TABLE_4.keys():
        found["table 4"] = [by_name[n] for n in TABLE_4]
    if len(rows) == ALL:
        found["all"] = list(rows)
    if HARD in by_name:
        found[HARD] = [by_name[HARD]]
    return found


def summary(quality: Quality) -> dict[str, object]:
    """Figures over the whole folder, and every target that applies with its peer and ratio."""
    rows = list(quality.rows)
    broken = sum(r.violations for r in rows)
    targets: list[dict[str, object]] = [_target("folder", "violations", broken, 0, None)]
    for group, members in groups(quality.rows).items():
        figures = means(members) | {"wall_s": quality.wall_s}
        for name, t in TARGETS[group].items():
            targets.append(_target(group, name, figures[name], t.target, t.peer))
    return {
        "instances": len(rows),
        **means(rows),
        "violations": broken,
        "wall_s": quality.wall_s,
        "targets": targets,
    }


def _target(group: str, name: str, value: float, target: float, peer: float | None) -> dict[str, object]:
    return {
        "group": group,
        "figure": name,
        "value": value,
        "target": target,
        "peer": peer,
        "ratio": round(value / peer, 4) if peer else None,
        "met": value <= target,
    }


def as_rows(quality: Quality) -> list[dict[str, object]]:
    """One plain dict an instance, with the published figures where there are some."""
    plain = []
    for row in quality.rows:
        published = TABLE_4.get(row.instance)
        plain.append(
            {
                "instance": row.instance,
                **asdict(row.metrics),
                "violations": row.violations,
                "cpu_s": row.cpu_s,
                "published": None if published is None else asdict(published),
            }
        )
    return plain
