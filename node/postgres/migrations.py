"""Numbered migrations: the files `NNNN_name.sql` of a package, each applied once to a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from node.errors import FornoError
from node.postgres.errors import SchemaMissing, classified
from node.retry import Policy, warned

#: A database that is being made is waited for so long, some 10 s in all.
_BEING_MADE = Policy(0.25, 2.0, of=(SchemaMissing,), tries=8)

_MIGRATIONS_TABLE = """
create table if not exists schema_migrations (
    package text not null,
    number integer not null,
    name text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (package, number)
)
"""


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
    """Migrations of a package that a database has and lacks; `unknown` ones were applied by a newer release."""

    package: str
    applied: list[str]
    pending: list[str]
    unknown: list[str]


class SchemaDiffers(FornoError):
    """A database has a migration of this release's number and of another name: a revision made it that was never
    released, and nobody knows what it lacks.
    """

    reason = "SCHEMA_DIFFERS"

    def __init__(self, database: str, package: str, applied: str, known: str) -> None:
        super().__init__(
            f"database {database} has migration {applied} of {package} where this release has {known}:"
            " it was made by a revision that was never released. Make it anew"
        )


async def schema_state(url: str, schema: Schema) -> SchemaState:
    """Compare a database with a package's migrations, changing nothing. Raises `SchemaDiffers`."""
    connection = await asyncpg.connect(url)
    try:
        migrated = await connection.fetchval("select to_regclass('schema_migrations')") is not None
        applied = await _applied(connection, schema) if migrated else {}
    finally:
        await connection.close()
    known = {number_of(file): file.stem for file in schema.files}
    return SchemaState(
        schema.package,
        list(applied.values()),
        [name for number, name in known.items() if number not in applied],
        [name for number, name in applied.items() if number not in known],
    )


async def _applied(connection: asyncpg.Connection, schema: Schema) -> dict[int, str]:
    """The names of the migrations that a database has, by their numbers. Raises `SchemaDiffers`."""
    rows = await connection.fetch(
        "select number, name from schema_migrations where package = $1 order by number", schema.package
    )
    applied = {row["number"]: row["name"] for row in rows}
    for file in schema.files:
        name = applied.get(number_of(file), file.stem)
        if name != file.stem:
            database = await connection.fetchval("select current_database()")
            raise SchemaDiffers(database, schema.package, name, file.stem)
    return applied


async def _connected(url: str) -> asyncpg.Connection:
    with classified():
        return await asyncpg.connect(url)


def number_of(file: Path) -> int:
    """The number of a migration's file."""
    return int(file.name.partition("_")[0])


async def migrate(url: str, package: str, folder: Path) -> list[str]:
    """Applies the files `NNNN_name.sql` of a folder that a database does not have yet, in order, each in a transaction.

    Safe to run twice and by many processes at once (an advisory lock makes them wait). Forward only.
    Returns the names it applied. Raises `SchemaMissing` when the database is not made within some seconds, and
    `SchemaDiffers` before it applies anything.
    """
    log, schema = structlog.get_logger(), Schema(package, folder)
    connection = await _BEING_MADE.until_done(lambda: _connected(url), warned(log, "waiting for the database"))
    try:
        await connection.execute("select pg_advisory_lock(hashtext('forno.migrations'))")
        await connection.execute(_MIGRATIONS_TABLE)
        before = await _applied(connection, schema)
        applied = []
        for file in schema.files:
            number = number_of(file)
            if number in before:
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
