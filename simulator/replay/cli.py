"""`forno replay DIR [--json] [--solution DIR]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from simulator.replay.checker import violations
from simulator.replay.errors import ReplayError
from simulator.replay.instance import read_instance
from simulator.replay.metrics import measure
from simulator.replay.policy import mdrp_params
from simulator.replay.solution import write_solution
from simulator.replay.world import replay

SHOWN_VIOLATIONS = 10


def main(argv: list[str]) -> int:
    """Replay one instance; 0 if no rule was broken, 1 if one was, 2 if the input cannot be read."""
    parser = argparse.ArgumentParser(
        prog="forno replay", description="Play an MDRPLib instance in virtual time through the dispatch engine."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the instance")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--solution", type=Path, metavar="DIR", help="write the official solution files here")
    args = parser.parse_args(argv)
    try:
        return _replay(args.folder, args.json, args.solution)
    except (ReplayError, OSError) as error:
        print(f"forno replay: {error}", file=sys.stderr)
        return 2


def _replay(folder: Path, as_json: bool, solution: Path | None) -> int:
    instance = read_instance(folder)
    started = time.perf_counter()
    history = replay(instance, mdrp_params(instance.rules))
    wall_s = time.perf_counter() - started
    broken = violations(instance, history)
    report: dict[str, object] = {
        "instance": instance.name,
        **asdict(measure(instance, history)),
        "violations": len(broken),
        "wall_s": round(wall_s, 3),
    }
    if solution is not None:
        write_solution(solution, instance, history)
    print(json.dumps(report) if as_json else _table(report))
    for line in broken[:SHOWN_VIOLATIONS]:
        print(f"violation: {line}", file=sys.stderr)
    return 1 if broken else 0


def _table(report: dict[str, object]) -> str:
    width = max(map(len, report))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in report.items())
