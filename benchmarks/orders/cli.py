"""`forno bench orders [--seconds N] [--json FILE]`: how fast orders are placed, what one costs among many."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.orders import growth
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, at_least, at_most, conclude, document
from deploy.stack.service import Service
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node import arguments

#: What runs beside the generator: no dispatch, no edge, no gateway.
NEEDED = ("router", "payments", "orders")
ORDERS = ("orders_0", "orders_1")
RATE = 200

#: Of what was written since then; a message that is still unsent has waited until now, at least.
LAG = """
select
    count(*) as messages,
    1000 * coalesce(percentile_cont(0.99) within group (
        order by extract(epoch from coalesce(sent_at, clock_timestamp()) - written_at)
    ), 0) as p99_ms
from outbox
where written_at >= $1
"""


def main(argv: list[str]) -> int:
    """0 if every target is met, 1 if not."""
    parser = arguments.Parser(prog="forno bench orders", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=arguments.number(1, arguments.MAX_SECONDS), default=10, help="length of each of the two runs"
    )
    parser.add_argument("--only", choices=("placing", "growth"), help="leave the other half out")
    parser.add_argument("--json", type=arguments.new_file, metavar="FILE", help="write all figures here")
    words = parser.parse_args(argv)
    figures, sections = asyncio.run(measure(words.seconds, words.only))
    summary = {}
    if "placing" in sections:
        summary["lag of the outbox flat out, p99, ms"] = sections["placing"]["flat_out"]["outbox_lag_p99_ms"]
        _say("".join(f"{name}: {value}" for name, value in summary.items()))
    return conclude(figures, document(figures, sections, summary), words.json)


async def measure(seconds: float, only: str | None = None) -> tuple[list[Figure], dict[str, Any]]:
    """Measure the rate of placing orders, and the cost of one when there are many already; on servers of their own."""
    figures: list[Figure] = []
    sections: dict[str, Any] = {}
    if only != "growth":
        async with _stack(NEEDED) as stack:
            placing = sections["placing"] = await _placing(stack, seconds)
        figures += placing_figures(placing)
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
    return {"at_rate": await _run(stack, seconds, "--rate", str(RATE)), "flat_out": await _run(stack, seconds)}


def placing_figures(found: dict[str, Any]) -> list[Figure]:
    """Both runs against their targets."""
    steady, flat_out = found["at_rate"], found["flat_out"]
    return [
        at_least("orders placed, durable, generator beside it", flat_out["placed_per_s"], 500, "/s"),
        at_most(f"placing at {RATE}/s, p99", steady["p99_ms"], 50, "ms"),
        at_most(f"lag of the outbox at {RATE}/s, p99", steady["outbox_lag_p99_ms"], 250, "ms"),
        at_most("calls that failed", flat_out["failed"] + steady["failed"], 0, ""),
        at_most("orders that were said to be placed and have no row", steady["missing"] + flat_out["missing"], 0, ""),
    ]


async def _run(stack: LocalStack, seconds: float, *words: str) -> dict[str, Any]:
    """One run of the generator, in a process of its own; with CPU milliseconds an order by process."""
    pids = {name: pid for name in (*NEEDED, "postgres", "kafka") if (pid := stack.pid(name)) is not None}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    began, rows = datetime.now(UTC), await _rows(stack)
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
    figures["outbox_lag_p99_ms"] = await _outbox_lag_ms(stack, began)
    # A call that failed may have placed its order all the same.
    figures["missing"] = max(0, figures["placed"] - (await _rows(stack) - rows))
    return figures


async def _rows(stack: LocalStack) -> int:
    """Count the orders."""
    return sum([int((await _asked(stack, name, "select count(*) as n from orders"))["n"]) for name in ORDERS])


async def _outbox_lag_ms(stack: LocalStack, began: datetime) -> float:
    """The 99th percentile of the time from a message's commit to its being in Kafka, of those written since; the worst
    of the outboxes. Raises `RuntimeError` for an outbox that nothing was written to: there was nothing to measure.
    """
    lags = []
    for name in (*ORDERS, "payments"):
        found = await _asked(stack, name, LAG, began)
        if not found["messages"]:
            raise RuntimeError(f"{name} has told nothing since the run began")
        lags.append(float(found["p99_ms"]))
    return round(max(lags), 1)


async def _asked(stack: LocalStack, database: str, query: str, *args: object) -> asyncpg.Record:
    connection = await asyncpg.connect(f"{stack.env['FORNO_POSTGRES_URL']}/{database}")
    try:
        return await connection.fetchrow(query, *args)
    finally:
        await connection.close()
