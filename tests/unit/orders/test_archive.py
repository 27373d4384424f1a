"""The archive without a database: what it refuses, how far a list looks back, what a night says."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
import structlog
from structlog.testing import capture_logs

from node.clock import ManualClock
from node.errors import Invalid, Retryable
from orders import cli
from orders.archive.archiver import Archiver
from orders.archive.files import ArchiveFiles
from orders.archive.metrics import ARCHIVE_FAILED, ARCHIVE_PUT_OFF, ARCHIVED
from orders.archive.nightly import NightlyArchive
from orders.archive.parquet_orders import MonthFiles, ParquetOrders, month_of
from orders.archive.reads import MONTHS_A_PAGE, ArchivedReads
from orders.ids import checked_order_id
from orders.model import Order, OrderId, UserId
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.ports import IdempotencyKey
from tests.unit.orders.worlds import ANA, NOW_MS, order_id, placed


@pytest.mark.parametrize("months", ["-3", "0", "1.5", "half"])
def test_the_month_that_takes_orders_cannot_be_named(months: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--older-than-months -3` would drop this month and the next two."""
    with pytest.raises(SystemExit) as raised:
        cli.main(["archive", "--older-than-months", months])
    assert raised.value.code == 2
    assert "within 1..1200, got" in capsys.readouterr().err


async def test_months_that_have_not_ended_are_refused(tmp_path: Path) -> None:
    """Before any database is asked: this one does not exist."""
    archiver = Archiver("orders_0", "postgresql://nowhere/none", ArchiveFiles.at(str(tmp_path)), structlog.get_logger())
    with pytest.raises(Invalid, match="not past"):
        await archiver.archive(datetime.now(UTC) + timedelta(days=1))


class Noted:
    """The table of archived months, as a pool and its connection that are asked for it."""

    def __init__(self, months: Sequence[date]) -> None:
        self.months = months

    @asynccontextmanager
    async def acquire(self, timeout: float | None) -> AsyncIterator[Noted]:
        """A connection."""
        yield self

    async def fetch(self, _: str, newest: date) -> list[Mapping[str, Any]]:
        """Newest first, without their files."""
        return [{"month": month, "files": "[]"} for month in sorted(self.months, reverse=True) if month <= newest]


@dataclass(frozen=True, slots=True)
class Shelf(ParquetOrders):
    """An archive in memory that writes down which months were read, and can be away."""

    orders: list[Order] = field(default_factory=list)
    read: list[date] = field(default_factory=list)
    away: bool = False

    async def page(self, user_id: UserId, month: MonthFiles, before: OrderId | None, limit: int) -> list[Order]:
        """Orders of that month."""
        if self.away:
            raise Retryable("away")
        self.read.append(month.month)
        mine = [one for one in self.orders if month_of(one.order_id) == month.month and one.user_id == user_id]
        older = [one for one in mine if before is None or one.order_id < before]
        return sorted(older, key=lambda one: one.order_id, reverse=True)[:limit]


#: A middle of each of 24 months, the oldest first; the last is this one.
MIDDLES = [NOW_MS - n * 2_629_800_000 for n in range(23, -1, -1)]


async def a_list(hot: Sequence[int], cold: Sequence[int], archived: range) -> tuple[ArchivedReads, Shelf]:
    """Orders of Ana by month: in rows, in the archive; and which months the archive has."""
    store = MemoryOrders(ManualClock(NOW_MS))
    for n, month in enumerate(hot):
        change = placed(n, at_ms=MIDDLES[month])
        await store.place(change, IdempotencyKey(f"key-{n}", b""))
    shelf = Shelf(
        ArchiveFiles.at("memory://"), [placed(100 + n, at_ms=MIDDLES[month]).order for n, month in enumerate(cold)]
    )
    months = [month_of(order_id(1, at_ms=MIDDLES[month])) for month in archived]
    return ArchivedReads(store, cast(asyncpg.Pool, Noted(months)), shelf), shelf


async def all_pages(orders: ArchivedReads, limit: int) -> list[list[OrderId]]:
    """Page by page, to the end."""
    pages: list[list[OrderId]] = []
    before: OrderId | None = None
    while True:
        page = await orders.page(ANA, before, limit)
        pages.append([order.order_id for order in page.orders])
        if not page.next_cursor:
            return pages
        before = checked_order_id(page.next_cursor)


async def test_a_list_of_rows_does_not_touch_the_archive() -> None:
    """Two orders of this month fill no page of twenty: they are served though the archive is away, and lead on."""
    orders, shelf = await a_list([23, 23], [3], range(18))
    page = await ArchivedReads(orders.rows, orders.pool, replace(shelf, away=True)).page(ANA, None, 20)
    assert len(page.orders) == 2
    assert page.next_cursor == page.orders[-1].order_id
    assert shelf.read == []
    assert sum(map(len, await all_pages(orders, 20))) == 3


async def test_a_call_reads_few_months_and_leads_on() -> None:
    """A customer without orders reads the archive in steps, to its end."""
    orders, shelf = await a_list([], [], range(18))
    page = await orders.page(ANA, None, 20)
    assert page.orders == []
    assert len(shelf.read) == MONTHS_A_PAGE
    shelf.read.clear()
    assert await all_pages(orders, 20) == [[]] * (18 // MONTHS_A_PAGE)
    assert len(shelf.read) == len(set(shelf.read)) == 18


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
@pytest.mark.parametrize(
    ("hot", "cold"),
    [
        ([23, 22, 22, 19], [17, 17, 17, 16, 9, 2, 2, 0]),
        # Months 10 and 0 were left behind: they had orders that were not final.
        ([23, 10, 10, 10, 0, 0], [17, 11, 9, 9, 4]),
        ([10, 10, 10, 10], []),
        ([], [12, 12]),
    ],
    ids=["rows, then files", "rows between files", "old rows alone", "files alone"],
)
async def test_every_order_is_listed_once_newest_first(hot: list[int], cold: list[int], limit: int) -> None:
    """Whatever lies where, in pages of any size that are never longer than asked for."""
    archived = [month for month in range(18) if month not in hot]
    orders, shelf = await a_list(hot, cold, range(0))
    months = [month_of(order_id(1, at_ms=MIDDLES[month])) for month in archived]
    pages = await all_pages(ArchivedReads(orders.rows, cast(asyncpg.Pool, Noted(months)), shelf), limit)
    found = [one for page in pages for one in page]
    assert found == sorted(found, reverse=True)
    assert len(found) == len(set(found)) == len(hot) + len(cold)
    assert max(map(len, pages)) <= limit


def counted() -> tuple[float, float, float]:
    """Orders archived, months put off because they changed, nights that failed."""
    return ARCHIVED._value.get(), ARCHIVE_PUT_OFF.labels("changed")._value.get(), ARCHIVE_FAILED._value.get()


def night(code: str) -> NightlyArchive:
    """A night whose process runs that."""
    return NightlyArchive(ManualClock(NOW_MS), structlog.get_logger(), (sys.executable, "-c", code))


async def test_the_service_counts_what_the_process_of_the_night_did() -> None:
    """The process serves no metrics: it says what it did, and the service that serves them counts."""
    told = {"months": [{"rows": 30}, {"rows": 12}], "put_off": [{"why": "changed"}]}
    before = counted()
    assert await night(f"print({json.dumps(told)!r})").once()
    assert tuple(now - then for now, then in zip(counted(), before, strict=True)) == (42, 1, 0)


async def test_a_night_that_failed_is_an_error_and_not_done() -> None:
    """It is counted and logged as an error; the caller tries again."""
    before = counted()
    with capture_logs() as logs:
        assert not await night("raise SystemExit(1)").once()
    assert [(line["log_level"], line["code"]) for line in logs] == [("error", 1)]
    assert tuple(now - then for now, then in zip(counted(), before, strict=True)) == (0, 0, 1)


def test_a_files_name_is_on_disk_before_anything_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is synced under its first name, and after it has its own every folder up to the archive's."""
    synced: list[str] = []
    monkeypatch.setattr("orders.archive.files._fsync", synced.append)
    ArchiveFiles.at(str(tmp_path)).write_json("manifests/month=2026-01/orders_0.json", {})
    folder = tmp_path / "manifests/month=2026-01"
    assert synced == [f"{folder}/orders_0.json.part", str(folder), str(tmp_path / "manifests"), str(tmp_path)]
