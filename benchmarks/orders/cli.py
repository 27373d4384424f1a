"""`forno bench orders [--seconds N] [--json FILE]`: how fast orders are placed, on servers of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.orders.cpu import cpu_s
from deploy.stack.service import Service
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack

#: What runs beside the generator: no dispatch, no edge, no gateway.
NEEDED = ("router", "payments", "orders")
RATE = 200

_LAG = """
select coalesce(percentile_cont(0.99) within group (order by extract(epoch from sent_at - written_at)), 0) * 1000
from outbox
"""


def main(argv: list[str]) -> int:
    """0 if every target is met, 1 if not."""
    parser = argparse.ArgumentParser(prog="forno bench orders", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="length of each of the two runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    words = parser.parse_args(argv)
    report = asyncio.run(measure(words.seconds))
    for target in report["targets"]:
        print(f"{'met   ' if target['met'] else 'missed'} {target['figure']}: {target['value']} ({target['target']})")
    if words.json is not None:
        words.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(target["met"] for target in report["targets"]) else 1


async def measure(seconds: float) -> dict[str, Any]:
    """Two runs on a stack of their own: at a rate, and as fast as it goes."""
    services: tuple[Service, ...] = tuple(service for service in SERVICES if service.name in NEEDED)
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), fail_fast=True, services=services) as stack:
            await _run(stack, 2, "--rate", "50")  # connections, statements and caches
            steady = await _run(stack, seconds, "--rate", str(RATE))
            lag_ms = await _outbox_lag_ms(stack)
            full = await _run(stack, seconds)
    return {
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        "at_rate": steady,
        "outbox_lag_p99_ms": lag_ms,
        "flat_out": full,
        "targets": [
            _target("placed_per_s", full["placed_per_s"], ">= 500", full["placed_per_s"] >= 500),
            _target(f"p99_ms at {RATE}/s", steady["p99_ms"], "<= 50", steady["p99_ms"] <= 50),
            _target(f"outbox lag p99_ms at {RATE}/s", lag_ms, "<= 250", lag_ms <= 250),
            _target("failed", full["failed"] + steady["failed"], "0", full["failed"] + steady["failed"] == 0),
        ],
    }


def _target(figure: str, value: float, target: str, met: bool) -> dict[str, Any]:
    return {"figure": figure, "value": value, "target": target, "met": met}


async def _run(stack: LocalStack, seconds: float, *words: str) -> dict[str, Any]:
    """One run of the generator, in a process of its own; with CPU milliseconds an order by process."""
    pids = {name: pid for name in (*NEEDED, "postgres", "kafka") if (pid := stack.pid(name)) is not None}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    address = stack.env["FORNO_ORDERS_ADDRESS"]
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.orders.place", address, "--seconds", str(seconds), *words,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await generator.communicate()
    figures: dict[str, Any] = json.loads(output)
    spent = {name: cpu_s(pid) - before[name] for name, pid in pids.items()}
    figures["cpu_ms_per_order"] = {
        name: round(1000 * seconds / max(1, figures["placed"]), 2) for name, seconds in spent.items()
    }
    return figures


async def _outbox_lag_ms(stack: LocalStack) -> float:
    """The 99th percentile of the time from a message's commit to its being in Kafka; the worst of the outboxes."""
    lags = []
    for database in ("orders_0", "orders_1", "payments"):
        connection = await asyncpg.connect(f"{stack.env['FORNO_POSTGRES_URL']}/{database}")
        lags.append(float(await connection.fetchval(_LAG)))
        await connection.close()
    return round(max(lags), 1)
