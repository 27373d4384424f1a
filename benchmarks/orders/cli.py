"""`forno bench orders [--seconds N] [--json FILE]`: how fast orders are placed, what one costs among many."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.orders import growth
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, at_least, at_most, conclude, document
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
    parser.add_argument("--only", choices=("placing", "growth"), help="leave the other half out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    words = parser.parse_args(argv)
    figures, sections = asyncio.run(measure(words.seconds, words.only))
    return conclude(figures, document(figures, sections), words.json)


async def measure(seconds: float, only: str | None = None) -> tuple[list[Figure], dict[str, Any]]:
    """How fast orders are placed, and what one costs when there are many already; on servers of their own."""
    figures: list[Figure] = []
    sections: dict[str, Any] = {}
    if only != "growth":
        async with _stack(NEEDED) as stack:
            placing = sections["placing"] = await _placing(stack, seconds)
        figures += _figures(placing)
    if only != "placing":
        async with _stack(("router",)) as stack:
            grown = sections["growth"] = await growth.measure(stack, _say)
        figures += growth.figures(grown)
    return figures, sections


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@asynccontextmanager
async def _stack(names: Sequence[str]) -> AsyncIterator[LocalStack]:
    services: tuple[Service, ...] = tuple(service for service in SERVICES if service.name in names)
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), fail_fast=True, services=services) as stack:
            yield stack


async def _placing(stack: LocalStack, seconds: float) -> dict[str, Any]:
    """Two runs: at a rate, and as fast as it goes."""
    await _run(stack, 2, "--rate", "50")  # connections, statements and caches
    steady = await _run(stack, seconds, "--rate", str(RATE))
    lag_ms = await _outbox_lag_ms(stack)
    return {"at_rate": steady, "outbox_lag_p99_ms": lag_ms, "flat_out": await _run(stack, seconds)}


def _figures(found: dict[str, Any]) -> list[Figure]:
    steady, flat_out = found["at_rate"], found["flat_out"]
    return [
        at_least("orders placed, durable, generator beside it", flat_out["placed_per_s"], 500, "/s"),
        at_most(f"placing at {RATE}/s, p99", steady["p99_ms"], 50, "ms"),
        at_most(f"lag of the outbox at {RATE}/s, p99", found["outbox_lag_p99_ms"], 250, "ms"),
        at_most("calls that failed", flat_out["failed"] + steady["failed"], 0, ""),
    ]


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
