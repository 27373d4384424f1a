"""Each index is chosen for what it is there for, on a million rows, with the planner's default settings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from orders.adapters.postgres import SCHEMAS, SQL
from orders.adapters.rows import created_at
from orders.model import OrderId
from tests.contract.orders_databases import migrated_pool

pytestmark = [pytest.mark.prove, pytest.mark.timeout(600)]

ROWS = 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """A shard with a year of orders."""
    async with migrated_pool(stack, SCHEMAS) as pool:
        for year, month in [(2025, month) for month in range(11, 13)] + [(2026, month) for month in range(1, 13)]:
            await pool.execute("select make_partition($1)", datetime(year, month, 1, tzinfo=UTC).date())
        fill = Path(__file__).with_name("orders_million.sql").read_text()
        await pool.execute(fill, ROWS, timeout=500)
        await pool.execute("vacuum analyze orders", timeout=100)
        yield pool


async def plan(pool: asyncpg.Pool, query: str, *args: object) -> list[dict[str, Any]]:
    """The nodes of the plan of a query, as it was executed."""
    text = await pool.fetchval(f"explain (analyze, buffers, format json) {query}", *args)
    return list(_nodes(json.loads(text)[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def indexes(nodes: list[dict[str, Any]]) -> set[str]:
    """Names of the indexes that were used."""
    return {str(node["Index Name"]) for node in nodes if "Index Name" in node}


def tables(nodes: list[dict[str, Any]]) -> set[str]:
    """Partitions that were touched."""
    return {str(node["Relation Name"]) for node in nodes if "Relation Name" in node and node["Actual Loops"] > 0}


async def some_orders(pool: asyncpg.Pool, count: int) -> list[OrderId]:
    """Ids in a row, of one afternoon in July."""
    rows = await pool.fetch(
        "select order_id from orders where created_at > '2026-07-15 12:00Z' order by created_at limit $1", count
    )
    return [OrderId(str(row["order_id"])) for row in rows]


async def test_an_id_finds_its_row_in_one_partition_by_the_primary_key(pool: asyncpg.Pool) -> None:
    """One partition, one index, one row."""
    (order_id,) = await some_orders(pool, 1)
    nodes = await plan(pool, SQL.get, order_id, created_at(order_id))
    assert tables(nodes) == {"orders_2026_07"}
    assert indexes(nodes) == {"orders_2026_07_pkey"}


async def test_a_batch_of_events_locks_its_rows_by_the_primary_key(pool: asyncpg.Pool) -> None:
    """A hundred ids of one afternoon: the partition of that month only."""
    orders = await some_orders(pool, 100)
    times = [created_at(order_id) for order_id in orders]
    nodes = await plan(pool, SQL.lock, orders, min(times), max(times))
    assert tables(nodes) == {"orders_2026_07"}
    assert indexes(nodes) == {"orders_2026_07_pkey"}


async def test_a_users_orders_are_found_by_the_hash_of_the_user(pool: asyncpg.Pool) -> None:
    """The first page of a user reads the hash index of each partition, and few pages of the tables."""
    newest = datetime.max.replace(tzinfo=UTC), "ffffffff-ffff-ffff-ffff-ffffffffffff"
    nodes = await plan(pool, SQL.list, "customer-17", *newest, 21)
    assert {name.partition("2")[0] for name in indexes(nodes)} == {"orders_"}
    assert all(name.endswith("_user_id_idx") for name in indexes(nodes))
    assert nodes[0]["Shared Hit Blocks"] + nodes[0]["Shared Read Blocks"] < 400


async def test_stuck_orders_are_found_by_the_partial_index(pool: asyncpg.Pool) -> None:
    """Of a million rows only the few open ones are looked at."""
    nodes = await plan(pool, SQL.stuck, "PLACED", 30.0, 500)
    assert all(name.endswith("_status_changed_at_idx") for name in indexes(nodes))
    assert not any(node["Node Type"] == "Seq Scan" and node["Actual Rows"] > 0 for node in nodes)


async def test_orders_that_once_failed_are_found_by_their_history(pool: asyncpg.Pool) -> None:
    """Support asks which orders of a month were ever in a status: the GIN index on the history answers."""
    nodes = await plan(
        pool,
        """select order_id from orders where history @> '[{"status": "FAILED"}]'"""
        " and created_at >= '2026-07-01Z' and created_at < '2026-08-01Z'",
    )
    assert indexes(nodes) == {"orders_2026_07_history_idx"}
