"""Timing and reports of the micro benchmarks."""

from __future__ import annotations

import gc
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

Rows = dict[str, float]


def seconds(work: Callable[[], object], rounds: int = 5) -> float:
    """CPU seconds of the quickest of several rounds: the one that others disturbed least."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best


def report(title: str, rows: Rows, json_file: Path | None) -> None:
    """Print a table; write it as JSON with the machine beside it if a file is named."""
    print(title)
    for name, value in rows.items():
        print(f"  {name:<58} {value:>14,.3f}")
    if json_file is not None:
        machine = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "system": platform.platform(),
        }
        json_file.write_text(json.dumps({"title": title, "machine": machine, "rows": rows}, indent=1))
