"""`forno bench dispatch [--instances DIR] [--ticks] [--json FILE] [--jobs N]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.dispatch.quality import Row, as_rows, instances, run_all, summary
from benchmarks.dispatch.ticks import measure_ticks
from simulator.replay.errors import ReplayError

TICK_SIZES = (300, 3_000, 10_000)
TICK_TARGET_MS = 150.0
COST_TARGET_PCT = 1.0
TARGET_SIZE = 3_000


def main(argv: list[str]) -> int:
    """0 if every target that applies is met, 1 if not, 2 if there is nothing to measure."""
    parser = argparse.ArgumentParser(prog="forno bench dispatch", description="Quality and speed of dispatch.")
    parser.add_argument("--instances", type=Path, metavar="DIR", help="folder of MDRPLib instances")
    parser.add_argument("--ticks", action="store_true", help="time ticks on big snapshots, beside scipy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    args = parser.parse_args(argv)
    if args.instances is None and not args.ticks:
        parser.error("nothing to measure: name --instances or --ticks")
    report: dict[str, object] = {"machine": _machine(), "commit": _commit()}
    targets: list[dict[str, object]] = []
    figures: dict[str, object] = {}
    if args.instances is not None:
        folders = instances(args.instances)
        if not folders:
            print(f"forno bench: no instance in {args.instances}", file=sys.stderr)
            return 2
        try:
            quality = run_all(folders, args.jobs, _show)
        except ReplayError as error:
            print(f"forno bench: {error}", file=sys.stderr)
            return 2
        figures |= summary(quality)
        targets += figures.pop("targets")  # type: ignore[arg-type]
        report["instances"] = as_rows(quality)
    if args.ticks:
        rows = [measure_ticks(n, rounds=30, dense=n <= TARGET_SIZE) for n in TICK_SIZES]
        report["ticks"] = [asdict(r) for r in rows]
        for row in rows:
            print(json.dumps(asdict(row)))
        targets += _tick_targets(next(asdict(r) for n, r in zip(TICK_SIZES, rows, strict=True) if n == TARGET_SIZE))
    report["summary"] = figures | {"targets": targets}
    _print_summary(figures, targets)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(t["met"] for t in targets) else 1


def _tick_targets(row: dict[str, float]) -> list[dict[str, object]]:
    group = f"{TARGET_SIZE} orders"
    wanted = {"tick_p95_ms": (TICK_TARGET_MS, row["dense_ms"]), "cost_over_dense_pct": (COST_TARGET_PCT, None)}
    return [
        {
            "group": group,
            "figure": name,
            "value": row[name],
            "target": target,
            "peer": peer,
            "ratio": round(row[name] / peer, 4) if peer else None,
            "met": row[name] <= target,
        }
        for name, (target, peer) in wanted.items()
    ]


def _show(row: Row) -> None:
    m = row.metrics
    print(
        f"{row.instance:<16} {m.orders:>5} orders  click-to-door {m.click_to_door_mean_min:6.2f}"
        f"  (floor {m.floor_min:6.2f})  ready-to-pickup {m.ready_to_pickup_mean_min:5.2f}"
        f"  undelivered {m.undelivered_pct:5.2f}%  {row.cpu_s:6.1f} s",
        flush=True,
    )


def _print_summary(figures: dict[str, object], targets: list[dict[str, object]]) -> None:
    for name, value in figures.items():
        print(f"{name:<28} {value}")
    for t in targets:
        peer = "" if t["peer"] is None else f"  peer {t['peer']}  ratio {t['ratio']}"
        verdict = "met" if t["met"] else "MISSED"
        print(f"{t['group']}: {t['figure']} {t['value']}, target {t['target']}: {verdict}{peer}")


def _machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    """The commit of the working copy, or "unknown" outside of one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
