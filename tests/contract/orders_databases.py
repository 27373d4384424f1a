"""One migrated database for a file of tests, emptied before each of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from deploy.stack.stack import LocalStack
from node import postgres


@asynccontextmanager
async def migrated_pool(stack: LocalStack, package: str, migrations: Path) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a new database with the tables of a package; migrating it again applies nothing."""
    base, name = stack.env["FORNO_POSTGRES_URL"], f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f"create database {name}")
    applied = await postgres.migrate(f"{base}/{name}", package, migrations)
    assert applied == sorted(file.stem for file in migrations.glob("*.sql"))
    assert await postgres.migrate(f"{base}/{name}", package, migrations) == []
    pool = await postgres.connect(f"{base}/{name}")
    try:
        yield pool
    finally:
        await pool.close()
        await admin.execute(f"drop database {name} with (force)")
        await admin.close()


async def empty(pool: asyncpg.Pool, *tables: str) -> None:
    """Leaves nothing in the tables."""
    await pool.execute(f"truncate {', '.join(tables)} cascade")
