"""One migrated database for a file of tests, emptied before each of them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from deploy.stack.stack import LocalStack
from node import postgres
from node.postgres import Schema


@asynccontextmanager
async def migrated_pool(stack: LocalStack, schemas: Sequence[Schema]) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a new database with the tables of some packages; migrating it again applies nothing."""
    base, name = stack.env["FORNO_POSTGRES_URL"], f"test_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f"create database {name}")
    for schema in schemas:
        applied = await postgres.migrate(f"{base}/{name}", schema.package, schema.folder)
        assert applied == [file.stem for file in schema.files] != []
        assert await postgres.migrate(f"{base}/{name}", schema.package, schema.folder) == []
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
