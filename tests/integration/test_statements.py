"""Every statement of every package is prepared on a real server with the migrated schemas.

A column that a migration renamed, a missing table, a type that does not fit: the server refuses the statement here, not
at three in the morning. Parameters get their types from the server.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from deploy.database.plan import databases, migrate_all
from deploy.stack.stack import LocalStack
from node import postgres
from node.postgres.sql import Statements
from node.settings import load
from orders.config import OrdersSettings
from orders.payments.config import PaymentsSettings

ROOT = Path(__file__).parents[2]
PACKAGES = ("benchmarks", "deploy", "dispatch", "gateway", "node", "orders", "shard_router", "simulator", "tracking")
FILES = sorted(
    str(file.relative_to(ROOT))
    for package in PACKAGES
    for file in (ROOT / package).rglob("*.sql")
    if file.parent.name != "migrations"
)

CORE, ORDERS, PAYMENTS = "core", "orders_0", "payments"
#: The databases whose schemas a file speaks of, by the beginning of its path; the longest that fits counts.
DATABASES = {
    "benchmarks/move": [CORE],
    "deploy/set_aside": [CORE, ORDERS, PAYMENTS],
    "dispatch": [CORE],
    "node": [CORE, ORDERS, PAYMENTS],
    "orders": [ORDERS],
    "orders/messaging": [ORDERS, PAYMENTS],
    "orders/payments": [PAYMENTS],
    "shard_router": [CORE],
    "simulator/demo/facts": [CORE],
}
#: Statements of a file that are for another database than the rest.
ELSEWHERE = {
    ("simulator/demo/facts/database.sql", "orders"): [ORDERS],
}

#: Statements with the name of a partition in them: it is known at run time only.
TEMPLATES = {
    ("orders/archive/archiver.sql", name) for name in ("cities", "drop", "fingerprint", "lock", "not_final", "rows")
}
#: Statements composed at run time, with the reason; nothing else in the packages is SQL outside of these files.
COMPOSED = {
    "benchmarks/orders/growth.py": "a million rows generated on the server, by table",
    "benchmarks/orders/cli.py": "sizes of tables, by name",
    "benchmarks/scale/rows.py": "sizes of tables",
    "benchmarks/scale/database.py": "a schema of thousands of cities, thrown away",
    "benchmarks/move/cli.py": "one count",
    "deploy/stack/servers/postgres.py": "makes the databases, before there is a schema",
    "node/postgres/migrations.py": "the table of migrations, before there is a schema",
    "orders/archive/archiver.py": "lock_timeout of one transaction: `set` takes no parameter",
    "orders/ordering/adapters/postgres/recent_index.py": "indexes of a partition: DDL takes no parameter",
    "orders/ordering/adapters/postgres/decisions.py": "synchronous_commit of one transaction: `set` takes no parameter",
}


SQL_TEXT = re.compile(
    r'"\s*(SELECT datname|select\s|insert into\s|update [a-z_.]+ set\s|delete from\s|lock table|set (local|session)|'
    r"create (table|index|database) |drop (table|index|database) )"
)


def databases_of(file: str, name: str) -> list[str]:
    """Databases in which a statement is to be prepared."""
    if (file, name) in ELSEWHERE:
        return ELSEWHERE[file, name]
    return DATABASES[max((prefix for prefix in DATABASES if file.startswith(prefix)), key=len)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def migrated(stack: LocalStack) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    """A connection to each kind of database, with a partition of orders."""
    base = stack.env["FORNO_POSTGRES_URL"]
    names = {name: f"statements_{name}" for name in (CORE, ORDERS, PAYMENTS)}
    async with postgres.connection(f"{base}/postgres") as admin:
        for name in names.values():
            await admin.execute(f"drop database if exists {name} with (force)")
            await admin.execute(f"create database {name}")
        settings = {
            "postgres_url": base,
            "core_database": names[CORE],
            "orders_ranges": f"0-65535={names[ORDERS]}",
            "payments_database": names[PAYMENTS],
        }
        orders = load(OrdersSettings).model_copy(update=settings)
        await migrate_all(databases(orders, load(PaymentsSettings).model_copy(update=settings)))
        connections = {name: await asyncpg.connect(f"{base}/{database}") for name, database in names.items()}
        await connections[ORDERS].execute("select make_partition('2026-11-01')")
        yield connections
        for connection in connections.values():
            await connection.close()
        for name in names.values():
            await admin.execute(f"drop database {name} with (force)")


@pytest.mark.parametrize("file", FILES)
async def test_the_server_accepts_every_statement(migrated: dict[str, asyncpg.Connection], file: str) -> None:
    """As it stands, in every database where it is used."""
    statements = Statements(ROOT / file)
    for name in statements:
        text = statements[name]
        if (file, name) in TEMPLATES:
            text = text.format(partition="orders_2026_11")
        for database in databases_of(file, name):
            try:
                await migrated[database].prepare(text)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{file}, {name}, on {database}: {error}")


async def test_a_planted_fault_is_refused(migrated: dict[str, asyncpg.Connection]) -> None:
    """A wrong column, a wrong table and a wrong type: so the test above can fail."""
    for text in (
        "select no_such_column from dispatch.ticks",
        "select 1 from dispatch.tick",
        "select 1 from dispatch.ticks where tick = $1 and city = $1",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await migrated[CORE].prepare(text)


def test_sql_stands_in_these_files_only() -> None:
    """What is composed at run time is listed with its reason."""
    found = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if SQL_TEXT.search(file.read_text())
    }
    assert found == set(COMPOSED)
