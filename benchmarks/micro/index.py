"""The rider index on one core: `python -m benchmarks.micro.index [--json FILE] [--riders N ...]`.

Fixes are decoded columns, one a rider and round, riders in random order, ids over the whole range of u64.
"with cells" adds a snapshot after each round in which every rider moved.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.micro.timing import Rows, report, seconds
from dispatch.index import FixColumns, PositionSnapshot, RiderPositions

MESSAGE = 8192
PLACES = 1000


def one_round(rng: np.random.Generator, ids: np.ndarray, seq: int) -> FixColumns:
    """A fix of every rider, anywhere in a city of 28 by 29 km."""
    fixes = FixColumns.zeros(len(ids))
    fixes.rider_id[:] = rng.permutation(ids)
    fixes.session[:] = 1_700_000_000_000
    fixes.seq[:] = seq
    fixes.ts_ms[:] = 1000 * seq
    fixes.lat_e7[:] = rng.integers(-300_500_000, -298_000_000, len(ids))
    fixes.lng_e7[:] = rng.integers(-713_500_000, -710_500_000, len(ids))
    return fixes


def measure(riders: int) -> Rows:
    """Rates in millions a second, times in microseconds."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 2**63, riders).astype(np.uint64)
    rounds = [one_round(rng, ids, seq) for seq in range(1, 15)]
    messages = [[r.take(np.arange(i, min(i + MESSAGE, riders))) for i in range(0, riders, MESSAGE)] for r in rounds]
    positions, waiting = RiderPositions(), iter(messages)

    def apply_round() -> None:
        for message in next(waiting):
            positions.apply(message)

    def apply_and_bucket() -> None:
        apply_round()
        positions.snapshot(now_ms=15_000)

    first = seconds(apply_round, rounds=1)
    apply_s = seconds(apply_round)
    cells_s = seconds(apply_and_bucket)
    rows = {
        "first sight of a rider, M fixes/s": riders / first / 1e6,
        "apply, M fixes/s": riders / apply_s / 1e6,
        "apply, ns a fix": apply_s / riders * 1e9,
        "apply with cells, M fixes/s": riders / cells_s / 1e6,
    }
    snapshot = positions.snapshot(now_ms=15_000)
    lat, lng = (
        rng.integers(-300_500_000, -298_000_000, PLACES),
        rng.integers(-713_500_000, -710_500_000, PLACES),
    )
    for k in (1, 10, 32):
        rows[f"nearest {k} in bulk, µs a place"] = seconds(partial(snapshot.nearest, lat, lng, k)) / PLACES * 1e6
    rows["nearest 10 of one place, µs"] = seconds(partial(one_by_one, snapshot, lat[:50], lng[:50])) / 50 * 1e6
    return {f"{riders:,} riders: {name}": value for name, value in rows.items()}


def one_by_one(snapshot: PositionSnapshot, lat: np.ndarray, lng: np.ndarray) -> None:
    """Ask for each place by itself."""
    for i in range(len(lat)):
        snapshot.nearest(lat[i : i + 1], lng[i : i + 1], 10)


def apply_to_next(waiting: Iterator[RiderPositions], fixes: FixColumns) -> None:
    """Apply to an index that is still empty."""
    next(waiting).apply(fixes)


def bursts(riders: int = 2_000, length: int = 50) -> Rows:
    """Riders who send 50 fixes at once, oldest first, and the same newest first."""
    rng = np.random.default_rng(1)
    ids = np.repeat(rng.integers(1, 2**63, riders).astype(np.uint64), length)
    rows = {}
    for name, order in (("oldest first", 1), ("newest first", -1)):
        fixes = one_round(rng, ids, 1)
        fixes.rider_id[:] = ids
        fixes.seq[:] = np.tile(np.arange(1, length + 1)[::order], riders)
        waiting = iter([RiderPositions(riders) for _ in range(5)])
        applied = seconds(partial(apply_to_next, waiting, fixes))
        rows[f"bursts of {length}, {name}, M fixes/s"] = len(ids) / applied / 1e6
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--riders", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    args = parser.parse_args()
    rows: Rows = bursts()
    for riders in args.riders:
        rows |= measure(riders)
    report("rider index, one core", rows, args.json)


if __name__ == "__main__":
    main()
