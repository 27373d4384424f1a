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
from node.clock import ManualClock
from node.outbox.postgres import SQL as OUTBOX_SQL
from orders.kitchen.adapters.postgres import SQL as KITCHEN_SQL
from orders.messaging.postgres import BATCH
from orders.model import OrderId
from orders.ordering.adapters.postgres.recent_index import RecentIndex
from orders.ordering.adapters.postgres.rows import created_at
from orders.ordering.adapters.postgres.schema import SCHEMAS
from orders.ordering.adapters.postgres.statements import SQL
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
        await pool.execute(Path(__file__).with_name("orders_million_messages.sql").read_text(), ROWS, timeout=500)
        for table in ("orders", "outbox", "idempotency_keys"):
            await pool.execute(f"vacuum analyze {table}", timeout=100)
        yield pool


@pytest_asyncio.fixture(loop_scope="session")
async def url(stack: LocalStack, pool: asyncpg.Pool) -> str:
    """Where the database is."""
    return f"{stack.env['FORNO_POSTGRES_URL']}/{await pool.fetchval('select current_database()')}"


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
    for query, args in ((SQL.stuck, (500,)), (SQL.count_stuck, ()), (SQL.send_again, (500,))):
        nodes = await plan(pool, query, "PLACED", 30.0, *args)
        assert any(name.endswith("_status_changed_at_idx") for name in indexes(nodes))
        read = [node for node in nodes if node["Node Type"] == "Seq Scan" and node["Actual Rows"] > 0]
        assert not any(node["Relation Name"].startswith("orders") for node in read)


async def test_a_kitchens_board_is_found_by_the_partial_index(pool: asyncpg.Pool) -> None:
    """Of a restaurant's orders only the few that are with it are looked at."""
    nodes = await plan(pool, KITCHEN_SQL.tickets, "r-0", "la-serena", 201)
    assert all(name.endswith("_restaurant_id_city_idx") for name in indexes(nodes))
    assert not any(node["Node Type"] == "Seq Scan" and node["Actual Rows"] > 0 for node in nodes)


async def test_what_a_kitchen_called_ready_is_found_by_the_partial_index(pool: asyncpg.Pool) -> None:
    """The last three hundred of eight weeks, newest first, of a kitchen that has thousands."""
    nodes = await plan(pool, KITCHEN_SQL.cooked, "r-3", "coquimbo", datetime(2026, 9, 28, tzinfo=UTC), 300)
    assert {name.partition("_restaurant")[2] for name in indexes(nodes)} == {"_id_city_created_at_idx"}
    assert tables(nodes) <= {"orders_2026_09", "orders_2026_10", "orders_2026_11", "orders_2026_12"}


async def test_a_citys_last_hours_are_found_by_the_index_of_the_last_seven_days(pool: asyncpg.Pool, url: str) -> None:
    """Made by the job for today; the next night's takes its place, and what a dead process left is cleared away."""
    clock = ManualClock(int(datetime(2026, 7, 31, 12, tzinfo=UTC).timestamp() * 1000))
    job = RecentIndex(url, clock)
    assert await job.renew() == ["orders_2026_07_recent_20260724"]
    assert await job.renew() == []
    since = datetime(2026, 7, 31, 0, tzinfo=UTC)
    nodes = await plan(pool, SQL.recent, "coquimbo", since)
    assert "orders_2026_07_recent_20260724" in indexes(nodes)
    # A week is a quarter of the month: reading its rows in order costs less than by the index. That is right so.
    clock.advance(24 * 3_600_000)
    await pool.execute(
        "update pg_index set indisvalid = false where indexrelid = 'orders_2026_07_recent_20260724'::regclass"
    )
    assert await job.renew() == ["orders_2026_07_recent_20260725", "orders_2026_08_recent_20260725"]
    left = await pool.fetch("select indexname from pg_indexes where indexname like '%_recent_%' order by 1")
    assert [row["indexname"] for row in left] == ["orders_2026_07_recent_20260725", "orders_2026_08_recent_20260725"]


async def test_old_keys_and_sent_messages_are_found_by_their_age(pool: asyncpg.Pool) -> None:
    """What is forgotten by age lies together on disk: a BRIN index of a few pages finds it among a million."""
    assert indexes(await plan(pool, SQL.forget_keys, BATCH, 30)) == {"idempotency_keys_by_age"}
    assert indexes(await plan(pool, OUTBOX_SQL.forget_sent, BATCH)) == {"outbox_sent"}


async def test_a_key_finds_what_it_placed(pool: asyncpg.Pool) -> None:
    """A repeated call reads one row."""
    nodes = await plan(pool, SQL.placed_by_key, "customer-17", "key-980017")
    assert indexes(nodes) == {"idempotency_keys_pkey"}
    assert nodes[0]["Actual Rows"] == 1


async def test_what_waits_to_be_sent_is_found_among_what_was_sent(pool: asyncpg.Pool) -> None:
    """Ten unsent messages beside a million sent ones: the partial index has just those."""
    nodes = await plan(pool, OUTBOX_SQL.claim_keys, 256)
    assert indexes(nodes) == {"outbox_unsent"}


async def test_orders_that_once_failed_are_found_by_their_history(pool: asyncpg.Pool) -> None:
    """Support asks which orders of a month were ever in a status: the GIN index on the history answers."""
    nodes = await plan(
        pool,
        """select order_id from orders where history @> '[{"status": "FAILED"}]'"""
        " and created_at >= '2026-07-01Z' and created_at < '2026-08-01Z'",
    )
    assert indexes(nodes) == {"orders_2026_07_history_idx"}


#: Indexes that no query of ours was seen to choose, and why they stay.
KEPT = {
    "shard_range_pkey": "keeps the table at one row",
    "schema_migrations_pkey": "keeps a migration from being noted twice",
    "kafka_log_pkey": "keeps the table at one row",
    "outbox_logs_pkey": "the conflict by which the log is replaced; a table of one row",
    "kafka_offsets_pkey": "the conflict by which offsets are replaced; read as a whole",
    "inbox_held_pkey": "the conflict by which an event is held once; the table is nearly always empty",
    "archived_months_pkey": "keeps a month from being archived twice; a row a month, so it is read as a whole",
    "set_aside_pkey": "a row is retried or dropped by its number; the table is nearly always empty",
    "set_aside_reader_topic_partition_log_offset_sha256_key": "the conflict by which a message is set aside once",
    "set_aside_by_reader": "the newest of a reader, when a message is set aside",
    "told_again_pkey": "the conflict by which an order that was told again waits longer; a row a stuck order",
    "kitchens_pkey": "the conflict by which a choice is replaced; a lookup of one row",
}


async def test_every_index_is_chosen_or_has_its_reason(pool: asyncpg.Pool) -> None:
    """The statistics of the server after all queries above: an index that was never used must say why it is there."""
    await pool.execute("select pg_stat_force_next_flush()")
    rows = await pool.fetch(
        "select coalesce(parent.relname, i.relname) as name, sum(s.idx_scan) as scans"
        " from pg_stat_user_indexes s join pg_class i on i.oid = s.indexrelid"
        " left join pg_inherits on inhrelid = i.oid left join pg_class parent on parent.oid = inhparent group by 1"
    )
    used = {row["name"] for row in rows if row["scans"]}
    unused = {row["name"] for row in rows} - used
    assert {name for name in unused if "_recent_" not in name} <= KEPT.keys()
    for name in sorted(KEPT.keys() & {row["name"] for row in rows}):
        print(f"kept: {name}: {KEPT[name]}")
    assert {"orders_pkey", "orders_by_user", "orders_by_history", "orders_not_final", "orders_in_kitchen"} <= used
