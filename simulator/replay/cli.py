"""`forno replay DIR [--json] [--solution DIR]`, and `forno replay --log FILE [--params FILE] [--json]`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from dispatch.errors import DispatchError
from node import arguments
from node.table import show
from simulator.replay.checker import violations
from simulator.replay.errors import ReplayError
from simulator.replay.instance import read_instance
from simulator.replay.metrics import measure
from simulator.replay.policy import mdrp_params
from simulator.replay.solution import write_solution
from simulator.replay.world import replay
from simulator.whatif.cli import replay_log

SHOWN_VIOLATIONS = 10


def main(argv: list[str]) -> int:
    """Replay; 0 if no rule was broken (the recording was decided as before), 1 if not, 2 if it cannot be read."""
    parser = arguments.Parser(
        prog="forno replay",
        description="Play an MDRPLib instance, or a recorded stretch of a living city, through the dispatch engine.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("folder", type=arguments.folder, nargs="?", metavar="DIR", help="folder of the instance")
    what.add_argument("--log", type=arguments.file, metavar="FILE", help="a recording made by `forno log dump`")
    parser.add_argument(
        "--params", type=arguments.file, metavar="FILE", help="with --log: another policy, as JSON of what differs"
    )
    parser.add_argument(
        "--roads", type=arguments.file, metavar="FILE", help="with --log: the road network it was recorded on"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument(
        "--solution", type=arguments.new_folder, metavar="DIR", help="write the official solution files here"
    )
    args = parser.parse_args(argv)
    if args.log is None and (args.params or args.roads):
        parser.error("--params and --roads go with --log")
    if args.log is not None and args.solution:
        parser.error("--solution goes with DIR")
    try:
        if args.log is not None:
            return replay_log(args.log, args.params, args.roads, as_json=args.json)
        return _replay(args.folder, args.json, args.solution)
    except (ReplayError, DispatchError, OSError) as error:
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
    if as_json:
        print(json.dumps(report))
    else:
        show("", ("", ""), [[name, str(value)] for name, value in report.items()])
    for line in broken[:SHOWN_VIOLATIONS]:
        print(f"violation: {line}", file=sys.stderr)
    return 1 if broken else 0
