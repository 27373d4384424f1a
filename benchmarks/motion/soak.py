"""`forno bench soak [--seconds 600] [--json FILE]`: a steady load on Apache Kafka, and nothing may drift.

Every `--window` seconds the ages of fixes on screens and the resident memory of every process are taken. A line is laid
through each series by Theil and Sen (the median of the slopes of all pairs; one bad window does not bend it), and must
rise over the whole run by less than an allowance:

    p50 and p99 of the age    a quarter of its median, or 5 ms (p50) and 25 ms (p99), whichever is more
    memory of a process       a tenth of its median, or 8 MB, whichever is more; servers that fill a cache of a fixed
                              size may do so (the wheels' MongoDB server 256 MB, Postgres 128 MB of shared buffers)

The load average stands beside each window: on a machine that others use, ages tell of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks.motion import fix_to_screen
from benchmarks.record import Figure, Say, at_most, conclude, document
from node import arguments

#: Half of the load at which ages are promised, 2,000 riders; what the machine carries at most was not sought.
RIDERS = 1_000
SHAPE_ORDERS = (270, 255)
#: The system fills its caches for so long before the first window, wall seconds.
WARM_UP_S = 30.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """Largest rise of a series over a run: a share of its median, or so much."""

    share: float
    floor: float

    def of(self, series: Sequence[float]) -> float:
        """The largest rise, in the unit of the series."""
        return max(self.share * median(series), self.floor)


P50_MS = Allowance(0.25, 5)
P99_MS = Allowance(0.25, 25)
RSS_MB = Allowance(0.10, 8)
CACHES_MB = {"mongo": 256.0, "postgres": 128.0}


def rise(times_s: Sequence[float], series: Sequence[float]) -> float:
    """Rise of the series from the first time to the last, by the Theil-Sen line. Needs two points."""
    points = list(zip(times_s, series, strict=True))
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2)]
    return median(slopes) * (times_s[-1] - times_s[0])


def memory_mb(pid: int) -> float:
    """Resident memory of a process and its children; what they share is counted once."""
    family, found = {pid}, 0.0
    for stat in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: int(path.parent.name)):
        with suppress(OSError):  # it has just ended
            number, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
            if number == pid or parent in family:
                family.add(number)
                found += _shared_fairly_kb(stat.with_name("smaps_rollup").read_text()) / 1e3
    return found


def _shared_fairly_kb(rollup: str) -> int:
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


async def run(seconds: float, window_s: float, riders: int, tell: Say) -> dict[str, Any]:
    """Windows of a steady load."""
    orders, carried = (round(n * riders / RIDERS) for n in SHAPE_ORDERS)
    shape = fix_to_screen.Shape(riders, orders, carried)
    windows: list[dict[str, Any]] = []
    async with fix_to_screen.scene(shape, "apache", tell) as running:
        await asyncio.sleep(WARM_UP_S)
        begun_s, before = time.monotonic(), await running.riders.ask("totals")
        while time.monotonic() - begun_s < seconds:
            await running.readers.ask("begin")
            await asyncio.sleep(window_s)
            seen = await running.readers.ask("end")
            at_s = round(time.monotonic() - begun_s, 1)
            memory = {name: round(memory_mb(pid), 1) for name, pid in running.pids().items()}
            seen.pop("by_2_ms", None)
            windows.append({"at_s": at_s, "screen": seen, "rss_mb": memory, "load_average": os.getloadavg()[0]})
            tell(
                f"{at_s:.0f} s: p50 {seen.get('p50_ms')} ms, p99 {seen.get('p99_ms')} ms, load {os.getloadavg()[0]:.1f}"
            )
        after = await running.riders.ask("totals")
    return {"riders": riders, "fixes": {name: after[name] - before[name] for name in after}, "windows": windows}


def figures(section: Mapping[str, Any]) -> list[Figure]:
    """The rise of each series beside what it may be."""
    windows = section["windows"]
    times = [window["at_s"] for window in windows]
    found = []
    for name, allowed in (("p50_ms", P50_MS), ("p99_ms", P99_MS)):
        series = [window["screen"][name] for window in windows]
        found.append(at_most(f"rise of {name}", round(rise(times, series), 1), round(allowed.of(series), 1), "ms"))
    for name in windows[0]["rss_mb"]:
        series = [window["rss_mb"][name] for window in windows if name in window["rss_mb"]]
        risen, allowed_mb = round(rise(times, series), 1), CACHES_MB.get(name, RSS_MB.of(series))
        found.append(at_most(f"rise of memory, {name}", risen, round(allowed_mb, 1), "MB", median(series), "median"))
    lost = section["fixes"]["refused"] + section["fixes"]["thinned"] + section["fixes"]["sessions"]
    return [*found, at_most("fixes refused or thinned, streams broken", lost, 0, "in all")]


def main(argv: list[str]) -> int:
    """0 if nothing drifts, 1 if something does."""
    parser = arguments.Parser(
        prog="forno bench soak", description="Half the load of `forno bench motion`, and nothing drifts."
    )
    parser.add_argument("--seconds", type=arguments.number(1, arguments.MAX_SECONDS), default=600)
    parser.add_argument(
        "--window", type=arguments.number(1, arguments.MAX_SECONDS), default=20, help="seconds of each measurement"
    )
    parser.add_argument(
        "--riders", type=arguments.whole(1, 1_000_000), default=RIDERS, help="each sends one fix a second"
    )
    parser.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write all windows here")
    args = parser.parse_args(argv)
    if args.seconds < 2 * args.window:
        parser.error("--seconds: at least two windows, or there is no slope")

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    section = uvloop.run(run(args.seconds, args.window, args.riders, tell))
    found = figures(section)
    return conclude(found, document(found, {"soak": section}), args.json)
