"""Cost of an order when there are a hundred times as many already.

Two worlds on the same servers, each with two order databases, a payments database and processes of its own: one with
few orders in them, one with a hundred times as many (a year's, over the monthly partitions, with their payments, ledger
entries, keys and a day's outbox). They are measured in turn, again and again, only one at a time running; an order's
cost is all CPU that orders, payments and Postgres spent from the first Place until the last saga waits for dispatch.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, at_most
from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from node import postgres
from orders.ordering.adapters.postgres.schema import SCHEMAS as ORDERS_SCHEMAS
from orders.payments.adapters.postgres import SCHEMAS as PAYMENTS_SCHEMAS

#: Orders in the small world; the other has a hundred times as many.
ROWS, TIMES = 10_000, 100
RATE, SECONDS, ROUNDS = 150, 4, 5
#: CPU seconds a second that all processes together use while nothing is placed, and some more.
IDLE_S = 0.2

Say = Callable[[str], None]

_MS_OF_YEAR = 31_536_000_000
_ID = """(
    lpad(to_hex(ms), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 11)
    || lpad(to_hex({first} + n % 32768), 4, '0')
)::uuid"""
_MADE = (
    "(select n + {offset} as n, {until_ms} - n * ({year_ms} / {rows}) as ms"
    " from generate_series(1, {rows}::bigint) n) made"
)
_BASKET = (
    '{"restaurant": {"restaurant_id": "r-1", "name": "Forno", "at": {"lat_e7": -299020000, "lng_e7": -712520000},'
    ' "preparation_s": 600}, "dropoff": {"lat_e7": -299100000, "lng_e7": -712510000},'
    ' "items": [{"sku": "margherita", "name": "Margherita", "quantity": 2, "price_minor": 4500}]}'
)
_LIFE = {
    "PLACED": 0,
    "AUTHORISED": 1,
    "ACCEPTED": 2,
    "ASSIGNED": 200,
    "PICKED_UP": 700,
    "DELIVERED": 1500,
    "COMPLETED": 1501,
}
_HISTORY = "jsonb_build_array({})".format(
    ", ".join(
        f"jsonb_build_object('status', '{status}', 'at_ms', ms + {1000 * at_s}, 'reason', '')"
        for status, at_s in _LIFE.items()
    )
)
#: Orders of a customer, and of a kitchen, whatever the size of the world.
_OF_A_USER, _OF_A_KITCHEN = 10, 500


@dataclass(frozen=True, slots=True)
class _Load:
    """Filling of a table: its columns, the values of the n-th order, and for how long rows stay."""

    table: str
    columns: str
    values: str
    years: float = 1.0


_ORDERS = (
    _Load(
        "orders",
        "order_id, created_at, user_id, city, restaurant_id, status, version, events, placed_ms, promised_ms, basket,"
        " currency, items_minor, delivery_fee_minor, tip_minor, history, changed_at, cooked_ms",
        _ID + ", to_timestamp(ms / 1000.0), 'old-' || n * 7919 % {users}, 'la-serena', 'r-' || n % {kitchens},"
        " 'COMPLETED', 7, 4,"
        " ms, ms + 2400000, '" + _BASKET.replace("{", "{{").replace("}", "}}") + "'::jsonb, 'CLP', 9000, 1490, 0,"
        " " + _HISTORY + ", to_timestamp(ms / 1000.0),"
        " ms + 600000",
    ),
    _Load(
        "idempotency_keys",
        "user_id, key, body_sha256, order_id, created_at",
        "'old-' || n * 7919 % {users}, md5(n::text), sha256(n::text::bytea), " + _ID + ", to_timestamp(ms / 1000.0)",
        30 / 365,
    ),
    _Load(
        "outbox",
        "event_id, order_id, topic, city, payload, written_at, sent_at",
        _ID + "::text, " + _ID + ", 'order.events', '', sha256(n::text::bytea), now(), now()",
        4 / 365,
    ),
)
_PAYMENTS = (
    _Load(
        "payments",
        "order_id, status, goal, amount_minor, currency, token, provider_ref, version, order_seen, changed_at,"
        " food_minor",
        _ID + ", 'CAPTURED', 'CAPTURED', 10490, 'CLP', 'tok_ok', 'loc_' || md5(n::text), 2, 4,"
        " to_timestamp(ms / 1000.0), 10490",
    ),
    *(
        _Load(
            "ledger",
            "key, account, order_id, amount_minor, currency",
            _ID + f"::text || ':capture', '{account}', " + _ID + f", {minor}, 'CLP'",
        )
        for account, minor in (("authorised", 10490), ("food", -10490))
    ),
    _Load(
        "local_provider.charges",
        "provider_ref, token, amount_minor, currency, state",
        "'loc_' || md5(n::text), 'tok_ok', 10490, 'CLP', 'CAPTURED'",
    ),
)


@dataclass(frozen=True, slots=True)
class World:
    """Databases with so many orders, and the settings of the processes upon them."""

    name: str
    rows: int
    databases: tuple[str, str, str]

    @property
    def env(self) -> dict[str, str]:
        first, second, payments = self.databases
        ranges = f"0-32767={first},32768-65535={second}"
        return {"FORNO_ORDERS_RANGES": ranges, "FORNO_PAYMENTS_DATABASE": payments}


async def measure(stack: LocalStack, say: Say, rows: int = ROWS, times: int = TIMES) -> dict[str, Any]:
    """Fills both worlds and measures them in turn."""
    base = stack.env["FORNO_POSTGRES_URL"]
    worlds = [
        World(name, count, (f"{name}_0", f"{name}_1", f"{name}_payments"))
        for name, count in (("few", rows), ("many", times * rows))
    ]
    for world in worlds:
        began_s = time.monotonic()
        await _fill(base, world)
        say(f"{world.rows:,} orders made in {time.monotonic() - began_s:.0f} s")
    costs: dict[str, list[float]] = {world.name: [] for world in worlds}
    for number in range(ROUNDS):
        for world in worlds if number % 2 == 0 else worlds[::-1]:
            costs[world.name].append(await _cost_ms(stack, base, world))
            say(f"{world.name}: {costs[world.name][-1]:.2f} ms of CPU an order")
    medians = {name: statistics.median(found) for name, found in costs.items()}
    return {
        "rows": {world.name: world.rows for world in worlds},
        "cpu_ms_per_order": costs,
        "median_ms": medians,
        "growth": round(medians["many"] / medians["few"], 3),
    }


def figures(found: dict[str, Any]) -> list[Figure]:
    """The cost at a hundred times the rows, beside the cost at few."""
    return [at_most("cost of an order at 100 times the rows, of that at few", found["growth"], 1.2, "x")]


async def _fill(base: str, world: World) -> None:
    admin = await asyncpg.connect(f"{base}/postgres")
    for name in world.databases:
        await admin.execute(f"create database {name}")
    await admin.close()
    first, second, payments = world.databases
    for name, point in ((first, 0), (second, 32_768)):
        for schema in ORDERS_SCHEMAS:
            await postgres.migrate(f"{base}/{name}", schema.package, schema.folder)
        await _copy(f"{base}/{name}", _ORDERS, world.rows // 2, (point,))
    for schema in PAYMENTS_SCHEMAS:
        await postgres.migrate(f"{base}/{payments}", schema.package, schema.folder)
    await _copy(f"{base}/{payments}", _PAYMENTS, world.rows // 2, (0, 32_768))


async def _copy(url: str, loads: Sequence[_Load], rows: int, points: tuple[int, ...]) -> None:
    """Fills the tables as a load of old data would be: no triggers, then statistics."""
    connection = await asyncpg.connect(url, command_timeout=900)
    if any(load.table == "orders" for load in loads):
        await connection.execute(
            "select make_partition((date_trunc('month', now()) - n * interval '1 month')::date)"
            " from generate_series(-2, 13) n"
        )
    # What is loaded is balanced; checking it row by row would take longer than the bench.
    await connection.execute("set session_replication_role = replica; set synchronous_commit = off")
    until_ms = int(time.time() * 1000)
    for load in loads:
        for point in points:
            made = _MADE.format(
                until_ms=until_ms,
                year_ms=int(_MS_OF_YEAR * load.years),
                rows=max(1, int(rows * load.years)),
                # Of two points the second's orders are others: so are their numbers.
                offset=10**9 if point and len(points) > 1 else 0,
            )
            values = load.values.format(
                first=point, users=max(1, rows // _OF_A_USER), kitchens=max(40, rows // _OF_A_KITCHEN)
            )
            await connection.execute(f"insert into {load.table} ({load.columns}) select {values} from {made}")
    await connection.execute("vacuum analyze")
    await connection.execute("checkpoint")
    await connection.close()


async def _cost_ms(stack: LocalStack, base: str, world: World) -> float:
    """CPU milliseconds an order, all processes together, with only this world's running."""
    async with _running(stack, world) as (address, pids):
        await _place(address, 1.5)
        await _settled(base, world)
        await _idle(pids)
        before = sum(map(cpu_s, pids))
        placed = await _place(address, SECONDS)
        await _settled(base, world)
        return 1000 * (sum(map(cpu_s, pids)) - before) / placed


async def _place(address: str, seconds: float) -> int:
    generator = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.orders.place", address, "--seconds", str(seconds), "--rate", str(RATE),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await generator.communicate()
    return int(json.loads(output)["placed"])


async def _idle(pids: list[int]) -> None:
    """Wait until what a process does once after its start (indexes, learning from history) is done."""
    async with asyncio.timeout(180):
        used_s = IDLE_S
        while used_s >= IDLE_S:
            before_s = sum(map(cpu_s, pids))
            await asyncio.sleep(1)
            used_s = sum(map(cpu_s, pids)) - before_s


async def _settled(base: str, world: World) -> None:
    """Wait until every order waits for dispatch, every payment for its order, and every outbox is empty."""
    asks = [
        *[
            (name, "select count(*) from orders where status in ('PLACED', 'AUTHORISED')")
            for name in world.databases[:2]
        ],
        *[(name, "select count(*) from outbox where sent_at is null") for name in world.databases],
        (world.databases[2], "select count(*) from payments where due_at is not null"),
    ]
    async with asyncio.timeout(120):
        for name, query in asks * 2:
            connection = await asyncpg.connect(f"{base}/{name}")
            while await connection.fetchval(query):  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.1)
            await connection.close()


@asynccontextmanager
async def _running(stack: LocalStack, world: World) -> AsyncIterator[tuple[str, list[int]]]:
    """The world's own orders and payments on the stack's servers; where orders listen, and whose CPU counts."""
    with Ports() as ports:
        processes = []
        for module in ("orders.payments.main", "orders.main"):
            address = f"127.0.0.1:{ports.take()}"
            env = {**os.environ, **stack.env, **world.env, "FORNO_LISTEN": address, "FORNO_LOG_LEVEL": "error"}
            processes.append(await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=env))
            await _serves(address)
        postgres_pid = stack.pid("postgres")
        assert postgres_pid is not None
        try:
            yield address, [postgres_pid, *(process.pid for process in processes)]
        finally:
            for process in processes:
                process.terminate()
                await process.wait()


async def _serves(address: str) -> None:
    async with asyncio.timeout(120), grpc.aio.insecure_channel(address) as channel:
        while True:
            with suppress(grpc.aio.AioRpcError):
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=2)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            await asyncio.sleep(0.1)
