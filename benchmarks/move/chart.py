"""Draw the pauses of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TARGET_MS = 250


def draw(report: dict[str, Any], file: Path) -> None:
    """Writes a PNG: for each move, the gap between ticks and what of it is pause. Says so without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed (make bench)", file=sys.stderr)
        return
    moves = [move for move in report["moves"] if move["state"] == "done"]
    numbers = range(1, len(moves) + 1)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.bar(numbers, [move["gap_ms"] for move in moves], color="#c8d3dd", label="last tick there to first tick here")
    axes.bar(
        numbers,
        [move["released_to_tick_ms"] for move in moves],
        width=0.4,
        color="#2f6f9f",
        label="let go to first commit",
    )
    axes.axhline(1000 + TARGET_MS, color="#c03a2b", linewidth=1, label="a period and 250 ms")
    axes.set_xlabel("move")
    axes.set_ylabel("ms")
    axes.set_xticks(list(numbers))
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    axes.set_title("A city moved under load: ticks around each move", fontsize=10)
    figure.savefig(file, dpi=130)
