"""`forno bench move [--riders N] [--moves N] [--json FILE]`: a city moved again and again while everything runs.

Real servers (Apache Kafka), real edge streams by the rider SDK, real orders through the gateway, real WebSockets. One
city and two shards; it goes to and fro.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import httpx
import uvloop
from rich.console import Console

from benchmarks.move.chart import draw
from benchmarks.move.checks import MoveTime, applied_to_the_end, assignments, lost_fixes, move_times
from benchmarks.move.customers import Customers
from benchmarks.move.riders import RiderFleet
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, at_least, at_most, conclude, document
from deploy.stack.services import SERVICES
from deploy.stack.stack import LocalStack
from node import arguments, postgres
from node.clock import SystemClock
from node.tokens import TokenSigner
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.audit.checks import audit
from simulator.drive.tokens import Tokens

CITY, CENTER = "la-serena", (-299_027_000, -712_520_000)
SHARDS = ("shard-1", "shard-2")
PERIOD_MS = 1000
FIXES_PER_S, OPEN_ORDERS, WATCHERS, PAUSE_MS = 2000, 500, 500, 250.0
#: Placed beyond what must be open, so that deliveries do not bring it below.
_SPARE = 100
#: Orders are placed in bursts; those of a burst beyond this would never be watched.
_SPARE_SOCKETS = 400
#: Between the end of a move and the next one, wall seconds.
_REST_S = 2.0
_MOVE_S = 60.0
_SAY = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Load:
    """Load in one second of the run."""

    at_s: float
    fixes_per_s: float
    open_orders: int
    watchers: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """While the city was moved: what was under way each second, and CPU seconds a second of every part."""

    loads: list[Load]
    cpu_share: dict[str, float]
    seconds: float


def main(argv: list[str]) -> int:
    """0 if every target is met, 1 if one falls short."""
    parser = arguments.Parser(prog="forno bench move", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--riders", type=arguments.whole(1, 1_000_000), default=10_000)
    parser.add_argument("--moves", type=arguments.whole(1, 10_000), default=20)
    parser.add_argument(
        "--fixes",
        type=arguments.number(0.1, 1_000_000),
        default=FIXES_PER_S,
        help="fixes a second of all riders together",
    )
    parser.add_argument(
        "--orders", type=arguments.whole(0, 1_000_000), default=OPEN_ORDERS, help="open orders at least"
    )
    parser.add_argument("--watchers", type=arguments.whole(0, 1_000_000), default=WATCHERS)
    parser.add_argument("--kafka", choices=("apache", "embedded"), default="apache")
    parser.add_argument("--dir", type=arguments.new_folder, help="where the stack runs; default: a temporary folder")
    parser.add_argument(
        "--json", type=arguments.new_file, metavar="FILE", help="write all figures here, and a picture beside"
    )
    words = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        figures, report = uvloop.run(measure(words, words.dir or Path(folder)))
    if words.json is not None:
        draw(report, words.json.with_suffix(".png"))
    return conclude(figures, report, words.json)


async def measure(words: argparse.Namespace, folder: Path) -> tuple[list[Figure], dict[str, Any]]:
    """The whole run on a stack of its own: its figures, and its report."""
    async with LocalStack(folder, kafka=words.kafka, services=SERVICES) as stack:
        core = f"{stack.env['FORNO_POSTGRES_URL']}/core"
        pool = await postgres.connect(core, max_size=4)
        try:
            return await _measured(words, stack, pool, core)
        finally:
            await pool.close()


async def _measured(
    words: argparse.Namespace, stack: LocalStack, pool: asyncpg.Pool, core: str
) -> tuple[list[Figure], dict[str, Any]]:
    tokens = Tokens(TokenSigner(Path(stack.env["FORNO_JWT_PRIVATE_KEY_FILE"])))
    store, clock, kafka_url = PostgresRouterStore(pool), SystemClock(), stack.env["FORNO_KAFKA_URL"]
    fleet = RiderFleet(
        clock, stack.env["FORNO_TRACKING_ADDRESS"], lambda n: tokens.get("rider", str(n), city=CITY), CENTER
    )
    async with httpx.AsyncClient(base_url=stack.env["FORNO_GATEWAY_URL"], timeout=20, trust_env=False) as http:
        degrees = (CENTER[0] / 1e7, CENTER[1] / 1e7)
        customers = Customers(http, tokens, CITY, degrees, words.orders + _SPARE, words.watchers + _SPARE_SOCKETS)
        stretch = await _moved_under_load(words, stack, pool, store, fleet, customers)
        await fleet.drain(60)
        cuts, dropped = dict(fleet.cuts), dict(customers.dropped)
        await customers.close()
        partition = (await store.read_map()).cities[CITY].partition
        end = await applied_to_the_end(pool, kafka_url, CITY, partition)
        acked, lost = await lost_fixes(fleet, kafka_url, CITY, partition, end)
        assigned, doubles = await assignments(kafka_url)
        await fleet.close()
    found = await audit(core)
    times = await move_times(pool, PERIOD_MS)
    done = [time for time in times if time.state == "done"]
    # Nothing acknowledged, nothing assigned: nothing proved.
    fixes_lost, assigned_twice = (n if of else float("nan") for n, of in ((lost, acked), (doubles, assigned)))
    figures = _figures(words, done, stretch.loads, fixes_lost, assigned_twice, cuts, dropped, found)
    sections = {
        "moves": [asdict(time) for time in times],
        **asdict(stretch),
        "delivered": fleet.delivered,
        "frames": dict(customers.frames),
        "refused_orders": dict(customers.refused),
        "versions": stack.versions,
        "audit": {"examined": dict(found.examined), "findings": [asdict(finding) for finding in found.findings]},
    }
    summary = {
        "acknowledged fixes": acked,
        "orders assigned": assigned,
        "longest from release to a tick, ms": max([time.released_to_tick_ms for time in done], default=None),
        "longest warm-up, ms": max([time.warm_ms for time in done], default=None),
    }
    return figures, document(figures, sections, summary)


async def _moved_under_load(
    words: argparse.Namespace,
    stack: LocalStack,
    pool: asyncpg.Pool,
    store: PostgresRouterStore,
    fleet: RiderFleet,
    customers: Customers,
) -> Stretch:
    """Riders ride, customers order and watch; once all are there, the moves."""
    loads: list[Load] = []
    open_orders = [0]
    _SAY.print(f"{words.riders} riders connect")
    await fleet.start(words.riders)
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(fleet.ride(words.fixes), name="rides"),
            group.create_task(_look(pool, open_orders, fleet, customers, loads, began_s), name="looks"),
            group.create_task(customers.run(open_orders), name="customers"),
        ]
        await _until(lambda: open_orders[0] >= words.orders and customers.connected >= words.watchers, 120)
        fleet.watch_streams()
        customers.dropped.clear()
        before, steady = _cpu(stack), len(loads)
        under_load_s = time.monotonic()
        await _moves(store, words.moves)
        spent, took_s = _cpu(stack), time.monotonic() - under_load_s
        for task in tasks:
            task.cancel()
    cpu_share = {name: round((spent[name] - before[name]) / took_s, 3) for name in spent if name in before}
    return Stretch(loads[steady:], cpu_share, round(took_s, 1))


def _figures(
    words: argparse.Namespace,
    done: list[MoveTime],
    loads: list[Load],
    fixes_lost: float,
    assigned_twice: float,
    cuts: dict[str, int],
    dropped: dict[str, int],
    found: Any,
) -> list[Figure]:
    pauses = [time.pause_ms for time in done] or [float("inf")]
    rate = sum(load.fixes_per_s for load in loads) / max(1, len(loads))
    orders, watchers = min(load.open_orders for load in loads), min(load.watchers for load in loads)
    return [
        at_least("moves done", len(done), words.moves, "moves"),
        at_most("longest pause", max(pauses), PAUSE_MS, "ms"),
        at_most("median pause", median(pauses), PAUSE_MS, "ms"),
        at_most("acknowledged fixes lost", fixes_lost, 0, "in all"),
        at_most("double assignments", assigned_twice, 0, "in all"),
        at_most("audit findings", len(found.findings) + found.more, 0, "in all"),
        at_most("riders' streams dropped", sum(cuts.values()), 0, "in all"),
        at_most("watchers' sockets dropped", sum(dropped.values()), 0, "in all"),
        at_least("fixes a second", round(rate), 0.97 * words.fixes, "fixes/s"),
        at_least("open orders, least", orders, words.orders, "orders"),
        at_least("watchers, least", watchers, words.watchers, "sockets"),
    ]


async def _moves(store: PostgresRouterStore, count: int) -> None:
    """Move the city to and fro, each move to its end."""
    for number in range(count):
        entry = (await store.read_map()).cities[CITY]
        target = SHARDS[1] if entry.owner == SHARDS[0] else SHARDS[0]
        asked = await store.request_move(CITY, target, "bench")
        assert asked.move is not None
        move_id = asked.move.move_id

        async def ended(move_id: int = move_id) -> bool:
            move = next(move for move in await store.moves(3) if move.move_id == move_id)
            return move.gap_ms is not None or move.state == "failed"

        await _until_async(ended, _MOVE_S)
        _SAY.print(f"move {number + 1} of {count}: {entry.owner} -> {target}")
        await asyncio.sleep(_REST_S)


async def _look(
    pool: asyncpg.Pool,
    open_orders: list[int],
    fleet: RiderFleet,
    customers: Customers,
    loads: list[Load],
    began_s: float,
) -> None:
    """Sample what is under way, each second."""
    sent, at_s = fleet.sent, time.monotonic()
    while True:
        await asyncio.sleep(1.0)
        count = await pool.fetchval("select count(*) from dispatch.orders where city = $1 and ended_ms is null", CITY)
        open_orders[0] = int(count)
        now_s = time.monotonic()
        rate = (fleet.sent - sent) / (now_s - at_s)
        loads.append(Load(round(now_s - began_s, 2), round(rate, 1), open_orders[0], customers.connected))
        sent, at_s = fleet.sent, now_s


async def _until(true: Callable[[], bool], within_s: float) -> None:
    async def asked() -> bool:
        return true()

    await _until_async(asked, within_s)


async def _until_async(true: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await true():  # noqa: ASYNC110  what is waited for is in the database
            await asyncio.sleep(0.2)


def _cpu(stack: LocalStack) -> dict[str, float]:
    """CPU seconds of each part, and of this process, which is riders, customers and watchers."""
    pids = {name: pid for name in stack.versions if (pid := stack.pid(name)) is not None}
    return {name: cpu_s(pid) for name, pid in pids.items()} | {"generator": time.process_time()}
