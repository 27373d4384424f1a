"""`forno bench dispatch [--instances DIR] [--no-ticks] [--waiting] [--json FILE] [--jobs N]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.dispatch import quality, speed, table
from benchmarks.dispatch.plot import plot
from benchmarks.dispatch.quality import Quality, Row
from benchmarks.record import Figure, conclude, document
from node import arguments
from simulator.replay.errors import ReplayError

DESCRIPTION = """Quality of dispatch on a folder of MDRPLib instances, beside the published figures, and the speed of
its ticks beside other solvers. Targets that need instances which the folder does not hold are named and left out."""


def main(argv: list[str]) -> int:
    """0 if every target that applies is met, 1 if not, 2 if there is nothing to measure."""
    args = _parser().parse_args(argv)
    if args.instances is None and args.no_ticks:
        print("forno bench dispatch: nothing to measure: name --instances, or leave out --no-ticks", file=sys.stderr)
        return 2
    summary: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    found: list[Figure] = []
    if args.instances is not None:
        folders = quality.instances(args.instances)
        if not folders:
            print(f"forno bench: no instance in {args.instances}", file=sys.stderr)
            return 2
        try:
            found += _quality(folders, args.jobs, args.waiting, sections, summary)
        except ReplayError as error:
            print(f"forno bench: {error}", file=sys.stderr)
            return 2
    if not args.no_ticks:
        found += _speed(args.json, sections, summary)
    return conclude(found, document(found, sections, summary), args.json)


def _parser() -> argparse.ArgumentParser:
    parser = arguments.Parser(prog="forno bench dispatch", description=DESCRIPTION)
    parser.add_argument(
        "--instances", type=arguments.folder, metavar="DIR", help="folder of MDRPLib instances, any of the 240"
    )
    parser.add_argument("--no-ticks", action="store_true", help="quality alone")
    parser.add_argument(
        "--waiting",
        action="store_true",
        help="replay every instance once more with idle couriers sent to wait where orders are expected",
    )
    parser.add_argument(
        "--json", type=arguments.new_file, metavar="FILE", help="write all figures here, and a plot beside it"
    )
    parser.add_argument(
        "--jobs", type=arguments.whole(1, 1024), default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    return parser


def _quality(
    folders: list[Path], jobs: int, waiting: bool, sections: dict[str, Any], summary: dict[str, Any]
) -> list[Figure]:
    """Replays the folder, fills sections and summary; the targets that apply."""
    found = quality.run_all(folders, jobs, _progress(len(folders)))
    summary |= quality.summary(found)
    sections["instances"] = quality.as_rows(found)
    rows = table.beside(found.rows)
    sections["published"] = [asdict(b) | {"gap": b.gap, "published_gap": b.published_gap} for b in rows]
    print(table.text(rows))
    for name, value in summary.items():
        if isinstance(value, int | float):
            print(f"{name:<28} {value}")
    for line in quality.incomplete(found.rows):
        print(f"left out: {line}")
    if waiting:
        again = quality.run_all(folders, jobs, _progress(len(folders)), waiting=True)
        summary["with_prepositioning"] = quality.summary(again)
        sections["instances_with_prepositioning"] = quality.as_rows(again)
        print(_compared(found, again))
    return quality.figures(found)


def _compared(without: Quality, with_: Quality) -> str:
    """Every mean without and with prepositioning."""
    before, after = quality.means(list(without.rows)), quality.means(list(with_.rows))
    lines = [f"{name:<28} {value:>9.3f} {after[name]:>9.3f}" for name, value in before.items()]
    broken = [sum(r.violations for r in q.rows) for q in (without, with_)]
    return "\n".join(
        [
            f"{'prepositioning':<28} {'without':>9} {'with':>9}",
            *lines,
            f"{'violations':<28} {broken[0]:>9} {broken[1]:>9}",
        ]
    )


def _speed(file: Path | None, sections: dict[str, Any], summary: dict[str, Any]) -> list[Figure]:
    measured = speed.measure(lambda line: print(line, flush=True))
    sections |= speed.as_plain(measured)
    summary |= speed.summary(measured)
    if file is not None:
        picture = file.with_suffix(".png")
        drawn = plot(measured, picture)
        print(f"plot: {picture}" if drawn else "no plot: matplotlib is not installed; `make bench` installs it")
    return speed.figures(measured)


def _progress(of: int) -> Callable[[Row], None]:
    done = 0

    def show(row: Row) -> None:
        nonlocal done
        done += 1
        m = row.metrics
        print(
            f"[{done:>3}/{of}] {row.instance:<16} {m.orders:>5} orders  click-to-door {m.click_to_door_mean_min:6.2f}"
            f"  (floor {m.floor_min:6.2f})  ready-to-pickup {m.ready_to_pickup_mean_min:5.2f}"
            f"  undelivered {m.undelivered_pct:5.2f}%  {row.cpu_s:6.1f} s",
            flush=True,
        )

    return show
