"""Decisions on a folder of MDRPLib instances, replayed in parallel processes, with and without prepositioning."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.dispatch.published import ALL, HARD, TABLE_4, TARGETS
from benchmarks.record import Figure, at_most
from simulator.replay.checker import violations
from simulator.replay.instance import read_instance
from simulator.replay.metrics import Metrics, measure
from simulator.replay.policy import mdrp_params
from simulator.replay.waiting import WaitingWorld
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
    "undelivered_floor_pct",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One instance: its figures, broken rules, and the CPU seconds it took. `waiting`: with idle couriers sent to
    wait where orders are expected."""

    instance: str
    waiting: bool
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


def run_one(folder: Path, waiting: bool = False) -> Row:
    """Replay and check one instance."""
    begun = time.process_time()
    instance = read_instance(folder)
    params = mdrp_params(instance.rules)
    if waiting:
        params = replace(params, prepositioning=replace(params.prepositioning, on=True))
        history = WaitingWorld(instance, params).run()
    else:
        history = replay(instance, params)
    cpu_s = round(time.process_time() - begun, 2)
    broken = violations(instance, history, idle_moves=waiting)
    return Row(instance.name, waiting, measure(instance, history), len(broken), cpu_s)


def run_all(folders: list[Path], jobs: int, progress: Callable[[Row], None], waiting: bool = False) -> Quality:
    """Replay all of them; `progress` hears of each as it ends."""
    begun = time.monotonic()
    rows = []
    with ProcessPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(run_one, folder, waiting) for folder in folders]):
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


def incomplete(rows: tuple[Row, ...]) -> list[str]:
    """Reasons why groups of targets do not apply."""
    by_name = {r.instance for r in rows}
    held = {"table 4": (len(by_name & TABLE_4.keys()), len(TABLE_4)), "all": (len(rows), ALL)}
    held[HARD] = (int(HARD in by_name), 1)
    return [f"{group}: {have} of {of} instances are here" for group, (have, of) in held.items() if have != of]


def summary(quality: Quality) -> dict[str, object]:
    """Figures over the whole folder, and of every group of instances that is complete."""
    rows = list(quality.rows)
    return {
        "instances": len(rows),
        **means(rows),
        "violations": sum(r.violations for r in rows),
        "wall_s": quality.wall_s,
        "cpu_s": round(sum(r.cpu_s for r in rows), 1),
        "groups": {name: {"instances": len(held), **means(held)} for name, held in groups(quality.rows).items()},
        "targets_not_applied": incomplete(quality.rows),
    }


def figures(quality: Quality) -> list[Figure]:
    """Every target that applies to the folder."""
    found = [at_most("folder: rules broken", sum(r.violations for r in quality.rows), 0, "in all")]
    for group, members in groups(quality.rows).items():
        values = means(members) | {"wall_s": quality.wall_s}
        found += [
            at_most(f"{group}: {name}", values[name], t.target, t.unit, t.peer, "published")
            for name, t in TARGETS[group].items()
        ]
    return found


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
