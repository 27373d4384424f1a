"""Postgres: pools and numbered migrations. Queries belong to the services, as named SQL beside their code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

#: A frozen owner must block nobody: its transaction is ended and its locks are given up (wall milliseconds).
GUARDS = {"idle_in_transaction_session_timeout": "1000", "lock_timeout": "1000"}

#: What the driver raises when the server is away, or a connection is lost in the middle of an answer.
AWAY = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_MIGRATIONS_TABLE = """
create table if not exists schema_migrations (
    package text not null,
    number integer not null,
    name text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (package, number)
)
"""


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Goes back to its pool without the driver's reset, a round trip for each query: nothing here leaves state on a
    session (settings are local to transactions, locks too; a forgotten LISTEN tells nobody).
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


async def connect(url: str, *, min_size: int = 1, max_size: int = 8, guarded: bool = False) -> asyncpg.Pool:
    """A pool on one database. With `guarded`, its sessions carry `GUARDS` (for all that decides); with `min_size` 0 the
    server may be away for now.
    """
    return await asyncpg.create_pool(
        url,
        min_size=min_size,
        max_size=max_size,
        command_timeout=10,
        connection_class=_Connection,
        server_settings=GUARDS if guarded else {},
    )


@dataclass(frozen=True, slots=True)
class Schema:
    """The numbered migrations of one package: files `NNNN_name.sql` in a folder."""

    package: str
    folder: Path

    @property
    def files(self) -> list[Path]:
        """The migrations, in order."""
        return sorted(self.folder.glob("[0-9]*_*.sql"))


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How far a database is with a package's migrations; `unknown` ones were applied by a newer release."""

    package: str
    applied: list[str]
    pending: list[str]
    unknown: list[str]


async def schema_state(url: str, schema: Schema) -> SchemaState:
    """What `migrate` would do. Changes nothing."""
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("select to_regclass('schema_migrations')") is None:
            rows = []
        else:
            rows = await connection.fetch(
                "select number, name from schema_migrations where package = $1 order by number", schema.package
            )
    finally:
        await connection.close()
    known = {number_of(file): file.stem for file in schema.files}
    applied = {row["number"]: row["name"] for row in rows}
    return SchemaState(
        schema.package,
        list(applied.values()),
        [name for number, name in known.items() if number not in applied],
        [name for number, name in applied.items() if number not in known],
    )


def number_of(file: Path) -> int:
    """The number of a migration's file."""
    return int(file.name.partition("_")[0])


async def migrate(url: str, package: str, folder: Path) -> list[str]:
    """Applies the files `NNNN_name.sql` of a folder that a database does not have yet, in order, each in a transaction.

    Safe to run twice and by many processes at once (an advisory lock makes them wait). Forward only.
    Returns the names it applied.
    """
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("select pg_advisory_lock(hashtext('forno.migrations'))")
        await connection.execute(_MIGRATIONS_TABLE)
        rows = await connection.fetch("select number from schema_migrations where package = $1", package)
        known = {row["number"] for row in rows}
        applied = []
        for file in Schema(package, folder).files:
            number = number_of(file)
            if number in known:
                continue
            async with connection.transaction():
                await connection.execute(file.read_text())
                await connection.execute(
                    "insert into schema_migrations (package, number, name) values ($1, $2, $3)",
                    package,
                    number,
                    file.stem,
                )
            applied.append(file.stem)
        return applied
    finally:
        await connection.close()


def statements(file: Path) -> dict[str, str]:
    """Named SQL: the statements of a file in which each begins with a line `-- name: …`, by name."""
    parts = re.split(r"^-- name: (.+)$", file.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
