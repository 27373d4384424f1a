"""`forno bench borders [--instances DIR] [--json FILE]`: a town cut in two, with borrowing and without."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.borders.town import town
from benchmarks.borders.two_cities import Axis, middle, replay_cut
from benchmarks.record import Figure, at_most, conclude, document
from node import arguments
from simulator.replay.checker import violations
from simulator.replay.history import History
from simulator.replay.instance import Instance, read_instance
from simulator.replay.metrics import measure
from simulator.replay.policy import mdrp_params
from simulator.replay.world import replay

#: Of the mean click-to-door of the uncut towns, percent.
TARGET_LOST_PCT = 3.0
SEEDS = (1, 2, 3)
AXES: tuple[Axis, Axis] = ("x", "y")


@dataclass(frozen=True, slots=True)
class Row:
    """One cut through one town: mean click-to-door in minutes, undelivered orders in percent."""

    town: str
    axis: str
    orders: int
    couriers: int
    uncut_min: float
    alone_min: float
    borrowing_min: float
    uncut_undelivered_pct: float
    alone_undelivered_pct: float
    borrowing_undelivered_pct: float
    loans: int
    violations: int
    cpu_s: float


def main(argv: list[str]) -> int:
    """0 if the borrowing towns meet the target and no rule is broken, 1 if not."""
    parser = arguments.Parser(prog="forno bench borders", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--instances", type=arguments.folder, nargs="+", metavar="DIR", help="MDRPLib instances, for our own towns"
    )
    parser.add_argument(
        "--orders", type=arguments.whole(1, 100_000), default=150, help="orders of each of our own towns"
    )
    parser.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write all figures here")
    words = parser.parse_args(argv)
    towns = [read_instance(d) for d in words.instances] if words.instances else [town(s, words.orders) for s in SEEDS]
    rows: list[Row] = []
    for instance in towns:
        for row in cut(instance):
            rows.append(row)
            print(_line(row), flush=True)
    figures = summarise(rows)
    return conclude(figures, document(figures, {"rows": [asdict(row) for row in rows]}), words.json)


def _line(row: Row) -> str:
    alone, borrowing = _lost(row.alone_min, row.uncut_min), _lost(row.borrowing_min, row.uncut_min)
    return (
        f"{row.town} {row.axis}  uncut {row.uncut_min:.2f} min  "
        f"cut {alone:+.1f}% ({row.alone_undelivered_pct:.1f}% undelivered)  "
        f"borrowing {borrowing:+.1f}% ({row.borrowing_undelivered_pct:.1f}%)  {row.loans} loans  {row.cpu_s:.0f} s"
    )


def cut(instance: Instance, axes: Sequence[Axis] = AXES) -> list[Row]:
    """The town uncut, and cut through the middle of its restaurants."""
    params = mdrp_params(instance.rules)
    begun = time.process_time()
    uncut = replay(instance, params)
    uncut_s = time.process_time() - begun
    rows = []
    for axis in axes:
        begun = time.process_time()
        border = middle(instance, axis)
        alone, _ = replay_cut(instance, params, border, borrowing=False)
        together, loans = replay_cut(instance, params, border, borrowing=True)
        rows.append(
            Row(
                town=instance.name,
                axis=axis,
                orders=len(instance.orders),
                couriers=len(instance.couriers),
                uncut_min=_minutes(instance, uncut),
                alone_min=_minutes(instance, alone),
                borrowing_min=_minutes(instance, together),
                uncut_undelivered_pct=measure(instance, uncut).undelivered_pct,
                alone_undelivered_pct=measure(instance, alone).undelivered_pct,
                borrowing_undelivered_pct=measure(instance, together).undelivered_pct,
                loans=loans,
                violations=len(violations(instance, alone)) + len(violations(instance, together)),
                cpu_s=round(uncut_s / len(axes) + time.process_time() - begun, 1),
            )
        )
    return rows


def summarise(rows: list[Row]) -> list[Figure]:
    """Means over all cuts, beside the same without borrowing."""
    uncut = sum(row.uncut_min for row in rows)
    lost = _lost(sum(row.borrowing_min for row in rows), uncut)
    alone = _lost(sum(row.alone_min for row in rows), uncut)
    missing, missing_alone = (
        sum(getattr(row, name) - row.uncut_undelivered_pct for row in rows) / len(rows)
        for name in ("borrowing_undelivered_pct", "alone_undelivered_pct")
    )
    peer = "the same cuts without borrowing"
    return [
        at_most("click-to-door lost", round(lost, 2), TARGET_LOST_PCT, "%", round(alone, 2), peer),
        at_most("undelivered beyond uncut", round(missing, 3), 0.5, "%", round(missing_alone, 3), peer),
        at_most("broken rules", sum(row.violations for row in rows), 0, ""),
    ]


def _minutes(instance: Instance, history: History) -> float:
    return measure(instance, history).click_to_door_mean_min


def _lost(minutes: float, uncut_min: float) -> float:
    return 100 * (minutes / uncut_min - 1)
