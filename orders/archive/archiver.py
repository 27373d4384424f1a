"""Move a month of orders to the archive: written, read back, compared, and only then dropped.

    choose ─> snapshot ─> a file a city ─> read back: rows, sums, digest ─> manifest ─┐
                                                                                      │ one transaction:
    the partition is locked against writers, its fingerprint is that of the snapshot ─┴> dropped, and noted as archived

Killed anywhere before the last commit, nothing has changed but files that the next run writes again, under the same
names with the same content; after it the month is read from the files. One process at a time works on a database.
Arrow and fsspec block, so this runs in a process of its own: `forno orders archive`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import asyncpg
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from node import postgres
from node.errors import Invalid
from node.postgres import statements
from orders.archive.errors import ArchiveMismatch
from orders.archive.files import ArchivedFile, ArchiveFiles, file_name, manifest_name
from orders.archive.table import Tally, batch_of, schema_of

SQL = statements(__file__)

#: Rows of a row group: what a reader that looks for one user reads at least.
ROW_GROUP = 8192
#: The locks of the last step are asked for this long: behind one that waits, everybody waits.
_LOCK_TIMEOUT = "2s"


class Postponement(StrEnum):
    """Reason why a month was left for the next run."""

    #: It has orders that are not final.
    NOT_FINAL = "not_final"
    #: It changed while it was archived.
    CHANGED = "changed"
    #: Somebody used it when it was to be dropped.
    IN_USE = "in_use"


@dataclass(frozen=True, slots=True)
class ArchivedMonth:
    """A month that was archived."""

    database: str
    month: date
    rows: int
    files: tuple[ArchivedFile, ...]


@dataclass(frozen=True, slots=True)
class PostponedMonth:
    """A month that was left for the next time, and why."""

    database: str
    month: date
    why: Postponement


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """Report of a run."""

    months: list[ArchivedMonth] = field(default_factory=list)
    postponed: list[PostponedMonth] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Archiver:
    """Archives the old months of one database."""

    database: str
    url: str
    files: ArchiveFiles
    log: structlog.stdlib.BoundLogger

    async def archive(self, older_than: datetime) -> ArchiveReport:
        """Archives every month that ended before then, the oldest first. A month with orders that are not final, or
        that somebody uses just now, is left for the next time. Raises `ArchiveMismatch` and drops nothing when a file
        is not what was written, and `Invalid` when the month that takes new orders would be among them.
        """
        if older_than > datetime.now(UTC):
            raise Invalid("older_than", f"{older_than:%Y-%m-%d} is not past: orders are still placed before it")
        done = ArchiveReport()
        async with self._alone() as connection:
            for row in await connection.fetch(SQL.partitions) if connection else []:
                month = datetime.strptime(row["name"], "orders_%Y_%m").replace(tzinfo=UTC)
                if end_of(month) <= older_than:
                    one = await self._month(connection, month.date(), row["name"])
                    if isinstance(one, ArchivedMonth):
                        done.months.append(one)
                    else:
                        done.postponed.append(one)
        return done

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[asyncpg.Connection | None]:
        """A connection of its own (sorting a month takes longer than a query may); None while another
        process archives."""
        async with postgres.connection(self.url) as connection:
            if await connection.fetchval(SQL.try_alone):
                yield connection
            else:
                self.log.info("another process archives", database=self.database)
                yield None

    async def _month(
        self, connection: asyncpg.Connection, month: date, partition: str
    ) -> ArchivedMonth | PostponedMonth:
        log = self.log.bind(database=self.database, month=f"{month:%Y-%m}")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            if await connection.fetchval(SQL.not_final.format(partition=partition)):
                log.warning("month not archived: it has orders that are not final")
                return PostponedMonth(self.database, month, Postponement.NOT_FINAL)
            fingerprint = await connection.fetchrow(SQL.fingerprint.format(partition=partition))
            log.info("archiving", rows=fingerprint["rows"])
            files, tally = await self._written(connection, month, partition, log)
        if tally.rows != fingerprint["rows"]:
            raise ArchiveMismatch(f"{partition}: {tally.rows} rows written of {fingerprint['rows']}")
        manifest = {"database": self.database, "month": f"{month:%Y-%m}", "files": list(map(asdict, files))}
        body = manifest | tally.as_json()
        self.files.write_json(manifest_name(month, self.database), body)
        log.info("verified", files=len(files), rows=tally.rows)
        if why := await self._dropped(connection, month, partition, files, fingerprint, log):
            return PostponedMonth(self.database, month, why)
        log.info("dropped", rows=tally.rows)
        return ArchivedMonth(self.database, month, tally.rows, tuple(files))

    async def _written(
        self, connection: asyncpg.Connection, month: date, partition: str, log: structlog.stdlib.BoundLogger
    ) -> tuple[list[ArchivedFile], Tally]:
        """All files of a month, read back and found to be right."""
        columns = [(row["name"], row["type"]) for row in await connection.fetch(SQL.columns)]
        schema, files, total = schema_of(columns), [], Tally()
        names = schema.names[1:]
        for row in await connection.fetch(SQL.cities.format(partition=partition)):
            name, tally = file_name(month, row["city"], self.database), Tally()
            rows = connection.cursor(SQL.rows.format(partition=partition), row["city"], prefetch=ROW_GROUP)
            await self._write(name, schema, rows, tally, total)
            log.info("written", file=name, rows=tally.rows)
            _check(self.files, name, names, tally)
            log.info("read back", file=name)
            files.append(ArchivedFile(name, row["city"], tally.rows))
        return files, total

    async def _write(self, name: str, schema: pa.Schema, rows: Any, tally: Tally, total: Tally) -> None:
        """Streams rows into a file, a row group at a time: memory does not grow with the month."""
        with self.files.writing(name) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            batch: list[asyncpg.Record] = []
            async for row in rows:
                batch.append(row)
                if len(batch) == ROW_GROUP:
                    _append(writer, schema, batch, tally, total)
                    batch = []
            _append(writer, schema, batch, tally, total)

    async def _dropped(
        self,
        connection: asyncpg.Connection,
        month: date,
        partition: str,
        files: Sequence[ArchivedFile],
        fingerprint: asyncpg.Record,
        log: structlog.stdlib.BoundLogger,
    ) -> Postponement | None:
        """Drop the partition; why not, if it could not."""
        try:
            async with connection.transaction():
                await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
                await connection.execute(SQL.lock.format(partition=partition))
                now = await connection.fetchrow(SQL.fingerprint.format(partition=partition))
                if now != fingerprint:
                    log.warning("month not dropped: it changed while it was archived")
                    return Postponement.CHANGED
                rows = orjson.dumps(list(map(asdict, files))).decode()
                await connection.execute(SQL.note, month, fingerprint["rows"], rows)
                await connection.execute(SQL.drop.format(partition=partition))
                log.info("dropping")
        except asyncpg.LockNotAvailableError:
            log.warning("month not dropped: somebody uses it")
            return Postponement.IN_USE
        return None


def end_of(month: datetime) -> datetime:
    """The first moment after a month that begins there."""
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def months_before(now: datetime, months: int) -> datetime:
    """The same moment so many months before; of a day that the month does not have, its last."""
    index = now.year * 12 + now.month - 1 - months
    first = now.replace(year=index // 12, month=index % 12 + 1, day=1)
    last_day = (end_of(first) - first).days
    return first.replace(day=min(now.day, last_day))


def _append(
    writer: pq.ParquetWriter, schema: pa.Schema, rows: Sequence[asyncpg.Record], tally: Tally, total: Tally
) -> None:
    if rows:
        writer.write_batch(batch_of(rows, schema), row_group_size=ROW_GROUP)
        for one in (tally, total):
            one.add(rows, schema.names[1:])


def _check(files: ArchiveFiles, name: str, names: Sequence[str], wanted: Tally) -> None:
    """Reads a file back. Raises `ArchiveMismatch`."""
    found = Tally()
    with files.system.open(files.path(name), "rb") as file:
        for batch in pq.ParquetFile(file).iter_batches(ROW_GROUP):
            found.add(batch.to_pylist(), names)
    if found != wanted:
        raise ArchiveMismatch(f"{name}: read back {found.as_json()}, written {wanted.as_json()}")
