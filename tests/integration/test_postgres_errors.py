"""Errors that a real Postgres and its driver raise, by what a caller does about them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from node import postgres, set_aside
from node.errors import FornoError, Invalid, Retryable
from node.postgres import (
    DataAtFault,
    DatabaseAway,
    PoolExhausted,
    SchemaMissing,
    TransactionConflict,
    UniqueViolated,
    classified,
    classify,
    migrations,
)
from shard_router.fence import OwnershipLost

_TABLE = """
create table things (
    id bigint primary key,
    name text not null,
    body jsonb,
    small integer check (small >= 0),
    parent bigint references things
)
"""
_ADD = "insert into things (id, name, body, small, parent) values ($1, $2, $3, $4, $5)"


@pytest_asyncio.fixture(loop_scope="session")
async def pool(fresh_database: str) -> AsyncIterator[asyncpg.Pool]:
    """A pool on a database with one row, 1."""
    pool = await postgres.connect(fresh_database, max_size=3)
    await pool.execute(_TABLE)
    await pool.execute(_ADD, 1, "one", "{}", 1, None)
    yield pool
    pool.terminate()


DATA = {
    "a NUL in a text": ((2, "a\0b", None, None, None), "parameter 2"),
    "a NUL in a document": ((2, "a", '{"a": "\\u0000"}', None, None), "parameter 3"),
    "NaN in a document": ((2, "a", '{"a": NaN}', None, None), "parameter 3"),
    "a lone surrogate in a document": ((2, "a", '{"a": "\\ud800"}', None, None), "parameter 3"),
    "a lone surrogate in a text": ((2, "a\ud800", None, None, None), "parameter 2"),
    "NaN in an integer": ((2, "a", None, math.nan, None), "parameter 4"),
    "a number over int8": ((2**63, "a", None, None, None), "parameter 1"),
    "a number over int4": ((2, "a", None, 2**31, None), "parameter 4"),
    "a text for a number": (("two", "a", None, None, None), "parameter 1"),
    "nothing where something must be": ((2, None, None, None, None), "name"),
    "a check": ((2, "a", None, -1, None), "things_small_check"),
    "a reference to nothing": ((2, "a", None, 1, 7), "things_parent_fkey"),
}


@pytest.mark.parametrize(("row", "field"), DATA.values(), ids=DATA)
async def test_data_at_fault_is_refused_with_its_field(pool: asyncpg.Pool, row: tuple[object, ...], field: str) -> None:
    """No retry would help, so it is no outage: `Invalid`, never `Retryable`."""
    with pytest.raises(DataAtFault) as refused:
        async with postgres.session(pool) as session:
            await session.execute(_ADD, *row)
    assert isinstance(refused.value, Invalid)
    assert refused.value.field == field
    str(refused.value).encode()  # a message that cannot be sent would be a fault of its own
    assert await pool.fetchval("select count(*) from things") == 1


async def test_a_unique_index_is_named(pool: asyncpg.Pool) -> None:
    """The caller knows what each of its indexes means."""
    with pytest.raises(UniqueViolated) as refused, classified():
        await pool.execute(_ADD, 1, "again", None, None, None)
    assert refused.value.constraint == "things_pkey"


async def _ended_by_another(pool: asyncpg.Pool, session: asyncpg.Connection) -> None:
    await pool.execute("select pg_terminate_backend($1)", session.get_server_pid())
    await session.fetchval("select 1")


async def _cut(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    session.terminate()
    await session.fetchval("select 1")


async def _too_slow(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    async with session.transaction():
        await session.execute("set local statement_timeout = 50")
        await session.fetchval("select pg_sleep(10)")


async def _too_slow_for_us(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    await session.fetchval("select pg_sleep(10)", timeout=0.05)


async def _locked(pool: asyncpg.Pool, session: asyncpg.Connection) -> None:
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from things where id = 1 for update")
        async with session.transaction():
            await session.execute("set local lock_timeout = 50")
            await session.execute("select from things where id = 1 for update")


async def _read_only(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    async with session.transaction(readonly=True):
        await session.execute("delete from things")


async def _serialization(pool: asyncpg.Pool, session: asyncpg.Connection) -> None:
    async with session.transaction(isolation="repeatable_read"):
        await session.fetchval("select count(*) from things")
        await pool.execute("update things set small = 2 where id = 1")
        await session.execute("update things set small = 3 where id = 1")


async def _deadlock(pool: asyncpg.Pool, session: asyncpg.Connection) -> None:
    await pool.execute(_ADD, 2, "two", None, None, None)
    update = "update things set small = 5 where id = $1"
    async with pool.acquire() as other, other.transaction(), session.transaction():
        await session.execute(update, 1)
        await other.execute(update, 2)
        outcomes = await asyncio.gather(session.execute(update, 2), other.execute(update, 1), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, asyncpg.PostgresError)]
        raise errors[0]


def _of_state(state: str) -> Callable[[asyncpg.Pool, asyncpg.Connection], Awaitable[None]]:
    async def raises(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
        await session.execute(f"do $$ begin raise exception 'planted' using errcode = '{state}'; end $$")

    return raises


async def _no_table(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    await session.fetchval("select count(*) from not_migrated_yet")


async def _no_function(_: asyncpg.Pool, session: asyncpg.Connection) -> None:
    await session.fetchval("select router.hold('a', 'b', 1)")


RAISED: dict[str, tuple[Callable[[asyncpg.Pool, asyncpg.Connection], Awaitable[None]], type[FornoError]]] = {
    "a session that was ended": (_ended_by_another, DatabaseAway),
    "a connection that was cut": (_cut, DatabaseAway),
    "a statement over its time": (_too_slow, DatabaseAway),
    "an answer over our time": (_too_slow_for_us, DatabaseAway),
    "a lock over its time": (_locked, DatabaseAway),
    "a server that became a replica": (_read_only, DatabaseAway),
    "a full disk": (_of_state("53100"), DatabaseAway),
    "a crash": (_of_state("57P02"), DatabaseAway),
    "a serialization failure": (_serialization, TransactionConflict),
    "a deadlock": (_deadlock, TransactionConflict),
    "a table that no migration made yet": (_no_table, SchemaMissing),
    "a schema that no migration made yet": (_no_function, SchemaMissing),
    "not the owner": (_of_state("FR001"), OwnershipLost),
    "the lease ran out": (_of_state("FR002"), OwnershipLost),
}


@pytest.mark.parametrize(("provoke", "kind"), RAISED.values(), ids=RAISED)
async def test_failures_by_what_to_do(
    pool: asyncpg.Pool,
    provoke: Callable[[asyncpg.Pool, asyncpg.Connection], Awaitable[None]],
    kind: type[FornoError],
) -> None:
    """An outage is waited for, a conflict is tried again at once, a lost city is let go; a missing table is a fault."""
    with pytest.raises(kind) as failed:
        async with postgres.session(pool) as session:
            await provoke(pool, session)
    assert type(failed.value) is kind
    assert isinstance(failed.value, Retryable) == (kind not in (OwnershipLost, SchemaMissing))
    if isinstance(failed.value, Retryable):
        assert failed.value.at_once == (kind is TransactionConflict)


async def test_a_fault_of_the_program_is_no_outage(pool: asyncpg.Pool) -> None:
    """A statement that is wrong stays what it is, with its name."""
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with postgres.session(pool) as session:
            await session.execute("selekt 1")


async def test_nobody_listens_there(stack: LocalStack, tmp_path: Path) -> None:
    """Neither a port nor a socket: both are waited for. Nor a database, which is waited for at a boot only."""
    refused = "postgresql://forno@127.0.0.1:1/core"
    no_socket = f"postgresql://forno@/core?host={tmp_path}"
    for url in (refused, no_socket):
        with pytest.raises(DatabaseAway):
            async with postgres.connection(url):
                pass
        with pytest.raises(DatabaseAway):
            await postgres.connect(url)
    with pytest.raises(SchemaMissing):
        async with postgres.connection(f"{stack.env['FORNO_POSTGRES_URL']}/no_such_database"):
            pass


async def test_a_boot_waits_for_a_database_that_is_being_made(
    stack: LocalStack, fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not for ever: then it says what is missing, and what to do."""
    base, _, name = fresh_database.rpartition("/")
    waited = asyncio.Event()

    def migrating() -> Awaitable[list[str]]:
        return postgres.migrate(f"{base}/{name}_later", set_aside.SCHEMA.package, set_aside.SCHEMA.folder)

    quick = replace(migrations._BEING_MADE, first_s=0.02, last_s=0.1)
    monkeypatch.setattr(migrations, "_BEING_MADE", quick)
    with pytest.raises(SchemaMissing, match=f"{name}_later.*forno db status"):
        await migrating()
    monkeypatch.setattr(migrations, "_BEING_MADE", replace(quick, tries=None))  # making it takes what it takes
    monkeypatch.setattr(migrations, "warned", lambda *_: lambda error, pause_s: waited.set())
    started = asyncio.ensure_future(migrating())
    await waited.wait()
    admin = await asyncpg.connect(f"{base}/postgres")
    await admin.execute(f"create database {name}_later")
    assert await started == [file.stem for file in set_aside.SCHEMA.files]
    await admin.execute(f"drop database {name}_later")
    await admin.close()


async def test_a_pool_with_no_connection_free(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for one has an end, and is not called an outage of Postgres."""
    held = [await pool.acquire() for _ in range(3)]
    monkeypatch.setattr("node.postgres.pool.ACQUIRE_S", 0.05)
    for within_s in (0.05, None):
        with pytest.raises(PoolExhausted, match="all 3 connections"):
            async with postgres.session(pool, within_s):
                pass
    for connection in held:
        await pool.release(connection)


def test_a_file_at_fault_is_no_outage(tmp_path: Path) -> None:
    """A folder read as a file between two queries, a full disk: not Postgres."""
    with pytest.raises(IsADirectoryError), classified():
        tmp_path.read_bytes()
    assert classify(OSError(28, "No space left on device")) is None
    assert classify(ValueError("ours")) is None
