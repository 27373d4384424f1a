"""Messages that were set aside: bounded, whatever comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from node import set_aside
from node.set_aside import BadMessage
from tests.contract.orders_databases import empty, migrated_pool


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """A database that has the table."""
    async with migrated_pool(stack, (set_aside.SCHEMA,)) as pool:
        yield pool


def bad(offset: int) -> BadMessage:
    """A message of which more is wrong than is kept."""
    return BadMessage.of("some.events", 0, offset, "k" * 5000, b"x" * (set_aside.KEPT_BYTES + 1), "r" * 5000)


def dropped(reader: str) -> float:
    """How many were dropped so far."""
    return float(set_aside.DROPPED.labels(reader)._value.get())


async def offsets(pool: asyncpg.Pool, reader: str) -> list[int]:
    """Where the messages of a reader lie that are kept, oldest first."""
    rows = await pool.fetch("select log_offset from set_aside where reader = $1 order by id", reader)
    return [row["log_offset"] for row in rows]


async def test_a_flood_leaves_the_newest_of_each_reader(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time or many at once, never more than the bound; the rest is counted, other readers keep theirs."""
    monkeypatch.setattr(set_aside, "KEPT_ROWS", 5)
    await empty(pool, "set_aside")
    before = dropped("flooded")
    await set_aside.into(pool, "quiet")([bad(1)])
    aside = set_aside.into(pool, "flooded")
    for offset in range(8):
        await aside([bad(offset)])
        assert len(await offsets(pool, "flooded")) <= 5
    assert await offsets(pool, "flooded") == [3, 4, 5, 6, 7]
    await aside([bad(offset) for offset in range(8, 21)])
    assert await offsets(pool, "flooded") == [16, 17, 18, 19, 20]
    assert dropped("flooded") - before == 16
    assert await offsets(pool, "quiet") == [1]


async def test_rows_that_are_done_make_room_first(pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages that nobody has seen stay, and are counted only when one of them goes."""
    monkeypatch.setattr(set_aside, "KEPT_ROWS", 5)
    await empty(pool, "set_aside")
    before = dropped("tidied")
    aside = set_aside.into(pool, "tidied")
    await aside([bad(offset) for offset in range(5)])
    async with pool.acquire() as connection:
        for row in (await set_aside.rows(connection, 10))[:3]:
            await set_aside.finish(connection, row.id)
    await aside([bad(5)])
    assert await offsets(pool, "tidied") == [0, 1, 3, 4, 5]
    await aside([bad(6), bad(7)])
    assert await offsets(pool, "tidied") == [0, 1, 5, 6, 7]
    assert dropped("tidied") == before
    await aside([bad(8)])
    assert await offsets(pool, "tidied") == [1, 5, 6, 7, 8]
    assert dropped("tidied") == before + 1


async def test_a_row_is_bounded(pool: asyncpg.Pool) -> None:
    """The beginning of the message, and its size."""
    await empty(pool, "set_aside")
    await set_aside.into(pool, "reader")([bad(1)])
    async with pool.acquire() as connection:
        (row,) = await set_aside.rows(connection, 10)
    assert (len(row.payload), row.size, row.whole) == (set_aside.KEPT_BYTES, set_aside.KEPT_BYTES + 1, False)
    assert len(row.key) == len(row.reason) == set_aside.KEPT_TEXT


async def test_the_same_message_read_again_stays_one_row(pool: asyncpg.Pool) -> None:
    """And pushes no other out."""
    await empty(pool, "set_aside")
    aside = set_aside.into(pool, "reader")
    for _ in range(3):
        await aside([bad(1), bad(2)])
    assert await offsets(pool, "reader") == [1, 2]


async def test_what_is_done_stays_done_when_it_is_read_again(pool: asyncpg.Pool) -> None:
    """It is listed no more; what is forgotten may come back."""
    await empty(pool, "set_aside")
    aside = set_aside.into(pool, "reader")
    await aside([bad(1), bad(2)])
    async with pool.acquire() as connection:
        second, first = await set_aside.rows(connection, 10)
        await set_aside.finish(connection, first.id)
        await set_aside.forget(connection, second.id)
        assert await set_aside.row(connection, first.id) is None
        assert await set_aside.rows(connection, 10) == []
        await aside([bad(1), bad(2)])
        assert [row.log_offset for row in await set_aside.rows(connection, 10)] == [2]
