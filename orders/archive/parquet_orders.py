"""Read archived orders from their Parquet files: by id, and a user's, newest first.

Files are found by what the database noted when it dropped the month, never by listing; row groups by their shard point.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow.parquet as pq

from node.errors import Retryable
from orders.archive.files import ArchivedFile, ArchiveFiles
from orders.archive.table import CITY, POINT
from orders.ids import point_of_order, point_of_user
from orders.model import Order, OrderId, UserId
from orders.ordering.adapters.postgres.rows import created_at, order_of

#: ArchiveFiles read at once; reading blocks, so each has a thread.
_AT_ONCE = asyncio.Semaphore(4)


@dataclass(frozen=True, slots=True)
class MonthFiles:
    """A month of one database in the archive."""

    month: date
    files: Sequence[ArchivedFile]


@dataclass(frozen=True, slots=True)
class ParquetOrders:
    """The orders in the files of the archive. Raises `Retryable` when these do not answer; the caller retries."""

    files: ArchiveFiles

    async def get(self, order_id: OrderId, month: MonthFiles) -> Order | None:
        """The order, if it is in that month."""
        wanted = [(POINT, "=", point_of_order(order_id)), ("order_id", "=", order_id)]
        return next(iter(await self._read(month, wanted)), None)

    async def page(self, user_id: UserId, month: MonthFiles, before: OrderId | None, limit: int) -> list[Order]:
        """Orders of a user in that month, newest first, older than `before`."""
        wanted = [(POINT, "=", point_of_user(user_id)), ("user_id", "=", user_id)]
        if before is not None:
            wanted.append(("order_id", "<", before))
        orders = await self._read(month, wanted)
        return sorted(orders, key=lambda order: order.order_id, reverse=True)[:limit]

    async def _read(self, month: MonthFiles, wanted: list[tuple[str, str, Any]]) -> list[Order]:
        parts = await asyncio.gather(*(self._read_file(file, wanted) for file in month.files))
        return [order for part in parts for order in part]

    async def _read_file(self, file: ArchivedFile, wanted: list[tuple[str, str, Any]]) -> list[Order]:
        async with _AT_ONCE:
            try:
                rows = await asyncio.to_thread(self._rows, file, wanted)
            except OSError as error:
                raise Retryable(f"the archive did not answer: {error!r}", reason="ARCHIVE_AWAY") from error
        return [order_of(row | {CITY: file.city}) for row in rows]

    def _rows(self, file: ArchivedFile, wanted: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
        path = self.files.path(file.path)
        table = pq.read_table(path, filesystem=self.files.system, filters=wanted, partitioning=None)
        rows: list[dict[str, Any]] = table.to_pylist()
        return rows


def month_of(order_id: OrderId) -> date:
    """The month whose partition an order is, or was, in."""
    return created_at(order_id).date().replace(day=1)
