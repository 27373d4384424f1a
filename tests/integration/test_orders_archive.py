"""The archive: months of orders move to Parquet whatever is killed when, and are found again by everybody."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import duckdb
import pyarrow.parquet as pq
import pytest
import pytest_asyncio
import structlog

from deploy.stack.stack import LocalStack
from node.clock import ManualClock
from orders import cli
from orders.archive.archiver import Archiver, ArchiveReport, end_of, months_before
from orders.archive.errors import ArchiveMismatch
from orders.archive.files import ArchiveFiles
from orders.archive.parquet_orders import ParquetOrders
from orders.archive.reads import ArchivedReads
from orders.ids import checked_order_id, order_id_at, point_of_user
from orders.model import OrderId, UserId
from orders.ordering.adapters.postgres.decisions import PostgresDecisions
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.schema import SCHEMAS
from orders.ordering.adapters.postgres.stuck import PostgresStuckOrders
from orders.ordering.errors import OrderArchived, TransitionRefused
from orders.ordering.events import Change
from orders.ordering.saga import Signal, step
from orders.ordering.store import OrderStore
from orders.ordering.transitions import Trigger
from tests.contract.orders_databases import migrated_pool
from tests.integration.orders_archive_killed import OLD
from tests.unit.orders.worlds import NOW_MS

ROWS, USERS = 360, 4
FIRST_MS, LAST_MS = 1_763_900_000_000, 1_795_000_000_000


@dataclass(frozen=True, slots=True)
class World:
    """A year of final orders of four users in two cities, and an empty archive."""

    pool: asyncpg.Pool
    url: str
    folder: Path
    ids: list[OrderId]

    @property
    def files(self) -> ArchiveFiles:
        """The archive."""
        return ArchiveFiles.at(str(self.folder))

    @property
    def hot(self) -> PostgresReads:
        """The rows alone."""
        return PostgresReads(self.pool)

    @property
    def orders(self) -> ArchivedReads:
        """Rows and archive as one."""
        return ArchivedReads(self.hot, self.pool, ParquetOrders(self.files))

    @property
    def store(self) -> OrderStore:
        """The store of the database."""
        decisions = PostgresDecisions(self.pool, ManualClock(NOW_MS), lambda: None)
        return OrderStore(self.orders, decisions, PostgresStuckOrders(self.pool, lambda: None))

    def archiver(self, files: ArchiveFiles | None = None, log: Any = None) -> Archiver:
        """The archiver of the database."""
        return Archiver("orders_0", self.url, files or self.files, log or structlog.get_logger())

    async def partitions(self) -> set[str]:
        """Months that have rows here."""
        rows = await self.pool.fetch("select distinct tableoid::regclass::text as name from orders")
        return {row["name"] for row in rows}

    async def listed(self, user: str) -> list[OrderId]:
        """All orders of a user, page by page."""
        found: list[OrderId] = []
        before: OrderId | None = None
        while True:
            page = await self.orders.page(UserId(user), before, 7)
            found += [order.order_id for order in page.orders]
            if not page.next_cursor:
                return found
            before = checked_order_id(page.next_cursor)

    def of_user(self, number: int) -> list[OrderId]:
        """The orders of a user, newest first."""
        return sorted(self.ids[number::USERS], reverse=True)


@pytest_asyncio.fixture(loop_scope="session")
async def world(stack: LocalStack, tmp_path: Path) -> AsyncIterator[World]:
    """A year of orders."""
    async with migrated_pool(stack, SCHEMAS) as pool:
        month = datetime.fromtimestamp(FIRST_MS / 1000, UTC).replace(day=1)
        while month < datetime(2026, 12, 31, tzinfo=UTC):
            await pool.execute("select make_partition($1)", month.date())
            month = end_of(month.replace(hour=0, minute=0, second=0, microsecond=0))
        ids = []
        for number in range(ROWS):
            at_ms = FIRST_MS + number * (LAST_MS - FIRST_MS) // ROWS
            ids.append(order_id_at(at_ms, point_of_user(UserId(f"user-{number % USERS}")), number))
        await pool.execute(
            Path(__file__).with_name("orders_final.sql").read_text(), ids, [f"user-{n % USERS}" for n in range(ROWS)]
        )
        name = await pool.fetchval("select current_database()")
        yield World(pool, f"{stack.env['FORNO_POSTGRES_URL']}/{name}", tmp_path / "archive", ids)


@pytest.mark.prove
async def test_killed_at_each_step_no_order_is_lost_or_doubled(world: World) -> None:
    """kill -9 after every step of a month, again and again: each order is always found, in one place."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.orders_archive_killed", "orders_0", world.url, str(world.folder),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    steps, last, at = set[str](), "", 0
    while last != "dropped":
        at += 1
        process.stdin.write(f"{at}\n".encode())
        said: list[str] = []
        while not said or not said[-1].startswith("killed"):
            said.append((await process.stdout.readline()).decode().strip())
        assert said[-1] == "killed True"
        last = said[-2]
        steps.add(last)
        kept = await world.pool.fetchval("select count(*) from orders")
        archived = await world.pool.fetchval("select coalesce(sum(rows), 0) from archived_months")
        assert kept + archived == ROWS
        for order_id in world.ids[::60]:
            assert await world.orders.get(order_id) is not None
    assert steps == {"archiving", "written", "read back", "verified", "dropping", "dropped"}
    assert await world.pool.fetchval("select count(*) from archived_months") == 1
    process.stdin.close()
    await process.wait()

    assert len((await world.archiver().archive(OLD)).months) == 8
    assert await world.archiver().archive(OLD) == ArchiveReport()
    assert [await world.listed(f"user-{n}") for n in range(USERS)] == [world.of_user(n) for n in range(USERS)]
    assert not list(world.folder.rglob("*.part"))


async def test_archived_orders_are_the_same_for_the_service_the_command_and_duckdb(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every field comes back; sums agree; what is archived changes no more."""
    before = {order_id: await world.hot.get(order_id) for order_id in world.ids[:200:20]}
    sums = "select city, count(*), sum(items_minor) from {} where created_at < '{}' group by 1 order by 1"
    rows = [tuple(row) for row in await world.pool.fetch(sums.format("orders", OLD))]
    months = (await world.archiver().archive(OLD)).months
    assert {order_id: await world.orders.get(order_id) for order_id in before} == before
    assert await world.hot.get(world.ids[0]) is None
    assert await world.orders.get(order_id_at(FIRST_MS, 7, 7)) is None

    glob = f"{world.folder}/orders/**/*.parquet"
    with duckdb.connect() as connection:
        cold = connection.sql(sums.format(f"read_parquet('{glob}', hive_partitioning = true)", OLD)).fetchall()
    assert cold == rows
    manifest = json.loads((world.folder / "manifests/month=2026-01/orders_0.json").read_text())
    assert manifest["rows"] == next(month.rows for month in months if month.month == date(2026, 1, 1))

    base, _, name = world.url.rpartition("/")
    monkeypatch.setenv("FORNO_POSTGRES_URL", base)
    monkeypatch.setenv("FORNO_ORDERS_RANGES", f"0-65535={name}")
    monkeypatch.setenv("FORNO_ARCHIVE_URL", str(world.folder))
    for order_id, source in ((world.ids[0], "archive"), (world.ids[-1], "hot")):
        capsys.readouterr()
        assert await asyncio.to_thread(cli.main, ["get", order_id, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["order_id"], told["source"], told["status"]) == (order_id, source, "COMPLETED")
    assert await asyncio.to_thread(cli.main, ["get", order_id_at(FIRST_MS, 7, 7)]) == 1
    with pytest.raises(SystemExit) as ended:
        cli.main(["recent", "la-serena", "--hours", "0"])
    assert ended.value.code == 2
    assert "must be within 1..168" in capsys.readouterr().err
    assert await asyncio.to_thread(cli.main, ["recent", "atlantis"]) == 2
    assert "there is no city 'atlantis'" in capsys.readouterr().err
    assert await asyncio.to_thread(cli.main, ["recent", "la-serena", "--hours", "168", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["city"] == "la-serena"

    with pytest.raises(TransitionRefused):
        await world.store.change(world.ids[0], lambda order: step(order, Signal(Trigger.CANCEL, NOW_MS)))
    with pytest.raises(OrderArchived):
        await world.store.change(world.ids[0], lambda order: Change(replace(order, version=order.version + 1)))


@dataclass(frozen=True, slots=True)
class Lossy(ArchiveFiles):
    """An archive that loses a row of each file."""

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Writes, and loses."""
        with ArchiveFiles.writing(self, name) as file:
            yield file
        if name.endswith(".parquet"):
            table = pq.read_table(self.path(name), partitioning=None)
            pq.write_table(table.slice(1), self.path(name))


async def test_what_cannot_be_archived_stays(world: World) -> None:
    """A file that is not what was written, an order that is not final, a row that changes: nothing is dropped."""
    system = world.files
    with pytest.raises(ArchiveMismatch, match="read back"):
        await world.archiver(Lossy(system.system, system.root)).archive(OLD)
    assert len(await world.partitions()) == 13

    await world.pool.execute("update orders set status = 'DELIVERED' where order_id = $1", world.ids[0])
    spoiler = Spoiler(world)
    done = await world.archiver(log=spoiler).archive(OLD)
    months = done.months
    assert {(f"orders_{one.month:%Y_%m}", one.why) for one in done.postponed} == {
        ("orders_2025_11", "not_final"),
        ("orders_2026_02", "changed"),
    }
    left = {"orders_2025_11", "orders_2026_02"}
    assert {f"orders_{month.month:%Y_%m}" for month in months} & left == set()
    assert left <= await world.partitions()
    assert len(months) == 7
    assert await world.orders.get(world.ids[0]) is not None


class Spoiler:
    """A log that changes an order of February once February is verified."""

    def __init__(self, world: World, month: str = "") -> None:
        self.world, self.month = world, month

    def bind(self, **words: Any) -> Spoiler:
        """The month at hand."""
        return Spoiler(self.world, words["month"])

    def info(self, event: str, **words: Any) -> None:
        """Changes the order in a thread of its own, while the archiver waits."""
        if (event, self.month) == ("verified", "2026-02"):
            thread = threading.Thread(target=lambda: asyncio.run(self._spoil()))
            thread.start()
            thread.join()

    warning = info

    async def _spoil(self) -> None:
        connection = await asyncpg.connect(self.world.url)
        await connection.execute(
            "update orders set version = version + 1 where order_id ="
            " (select order_id from orders where created_at >= '2026-02-01Z' and created_at < '2026-03-01Z' limit 1)"
        )
        await connection.close()


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ("2026-11-23T10:00:00+00:00", "2026-05-23T10:00:00+00:00"),
        ("2026-08-31T00:00:00+00:00", "2026-02-28T00:00:00+00:00"),
        ("2026-01-15T00:00:00+00:00", "2025-07-15T00:00:00+00:00"),
    ],
)
def test_six_months_before(now: str, before: str) -> None:
    """Calendar months; where the day does not exist, the last one."""
    assert months_before(datetime.fromisoformat(now), 6).isoformat() == before
