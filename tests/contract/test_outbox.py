"""The outbox: memory and Postgres keep the same promises, with either way to claim; one shape of tables everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from dispatch.shard.adapters.postgres import SCHEMA as DISPATCH
from node import set_aside
from node.errors import Retryable
from node.outbox import postgres as outbox_postgres
from node.outbox.memory import MemoryOutbox, MemoryPublisher
from node.outbox.message import Message
from node.outbox.postgres import PostgresOutbox
from orders.messaging.postgres import SCHEMA as MESSAGING
from shard_router.adapters.postgres import SCHEMA as ROUTER
from tests.contract.orders_databases import empty, migrated_pool

CITY = "roma"
FIRST, SECOND = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2))


@dataclass(frozen=True, slots=True)
class Bench:
    """An outbox, a way to write to it, and one to have all messages of a key sent again."""

    outbox: MemoryOutbox | PostgresOutbox
    city: str
    pool: asyncpg.Pool | None

    async def write(self, *messages: Message) -> None:
        """Commit messages."""
        if isinstance(self.outbox, MemoryOutbox):
            self.outbox.unsent += messages
        else:
            async with self.outbox.pool.acquire() as connection:
                await outbox_postgres.add(connection, messages)

    def message(self, number: int, key: str = FIRST) -> Message:
        """A message of a key."""
        return Message(f"{key}.{number}", key, "some.events", f"{number}".encode(), self.city)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def core(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """A database of dispatch."""
    async with migrated_pool(stack, (ROUTER, set_aside.SCHEMA, DISPATCH)) as pool:
        yield pool


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def orders(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """A database with the tables that orders and payments share."""
    async with migrated_pool(stack, (set_aside.SCHEMA, MESSAGING)) as pool:
        yield pool


@pytest.fixture(params=["memory, keys", "memory, city", "postgres, keys", "postgres, city"])
async def bench(request: pytest.FixtureRequest, core: asyncpg.Pool, orders: asyncpg.Pool) -> Bench:
    """An empty outbox of each kind in turn."""
    kind, claims = request.param.split(", ")
    city = CITY if claims == "city" else ""
    if kind == "memory":
        return Bench(MemoryOutbox(whole_keys=not city), city, None)
    pool = core if city else orders
    await empty(pool, "outbox", "outbox_logs", "set_aside")
    return Bench(PostgresOutbox(pool, city), city, pool)


async def sent(bench: Bench, limit: int = 100) -> list[str]:
    """The event ids of all that waits, sent."""
    publisher = MemoryPublisher()
    while await bench.outbox.relay(limit, publisher.send):
        pass
    return [message.event_id for message in publisher.messages]


async def away(messages: Sequence[Message]) -> Mapping[int, str]:
    """A broker that takes nothing."""
    raise Retryable("the broker is away")


async def test_messages_are_sent_once_in_the_order_they_were_written(bench: Bench) -> None:
    """Whatever the size of a claim; a failed send leaves all to be sent, in the same order, and whole."""
    messages = [bench.message(number) for number in range(1, 6)]
    await bench.write(*messages[:3])
    await bench.write(*messages[3:])
    with pytest.raises(Retryable):
        await bench.outbox.relay(10, away)
    publisher = MemoryPublisher()
    while await bench.outbox.relay(2, publisher.send):
        pass
    assert publisher.messages == messages
    assert await sent(bench) == []


async def test_a_claim_is_bounded(bench: Bench) -> None:
    """So many messages of a city, or all of so many keys."""
    await bench.write(*(bench.message(number, key) for number in (1, 2) for key in (FIRST, SECOND)))
    publisher = MemoryPublisher()
    assert await bench.outbox.relay(1, publisher.send) == (1 if bench.city else 2)
    assert {message.key for message in publisher.messages} == {FIRST}
    assert len(await sent(bench, 1)) == (3 if bench.city else 2)


async def test_a_new_log_is_sent_the_last_day_again(bench: Bench) -> None:
    """The first log that is told of is no new one; what a new one is sent comes in the order it was written."""
    await bench.write(bench.message(1), bench.message(2))
    assert await bench.outbox.log_is("log-1") == 0
    assert await sent(bench) == [f"{FIRST}.1", f"{FIRST}.2"]
    await bench.write(bench.message(3))
    assert await bench.outbox.log_is("log-1") == 0
    assert await bench.outbox.log_is("log-2") == 2
    assert await sent(bench) == [f"{FIRST}.1", f"{FIRST}.2", f"{FIRST}.3"]


async def test_a_message_that_will_never_be_taken_holds_up_no_other(bench: Bench) -> None:
    """It is set aside with its reason and does not come again; those beside it are sent."""

    async def send(messages: Sequence[Message]) -> Mapping[int, str]:
        return {n: "too large" for n, message in enumerate(messages) if message.event_id.endswith(".2")}

    await bench.write(*(bench.message(number) for number in (1, 2, 3)))
    assert await bench.outbox.relay(10, send) == 3
    assert await sent(bench) == []
    if isinstance(bench.outbox, MemoryOutbox):
        assert bench.outbox.refused == [bench.message(2)]
    else:
        async with bench.outbox.pool.acquire() as connection:
            (row,) = await set_aside.rows(connection, 10)
        assert (row.reader, row.partition, row.key, row.payload) == ("relay", set_aside.UNSENT, FIRST, b"2")
        assert row.reason == "too large"


@pytest.fixture(params=["keys", "city"])
async def stored(request: pytest.FixtureRequest, core: asyncpg.Pool, orders: asyncpg.Pool) -> Bench:
    """An empty outbox in Postgres, with either way to claim."""
    pool, city = (core, CITY) if request.param == "city" else (orders, "")
    await empty(pool, "outbox", "outbox_logs", "set_aside")
    return Bench(PostgresOutbox(pool, city), city, pool)


async def test_what_was_sent_over_a_day_ago_is_forgotten_and_not_sent_again(stored: Bench) -> None:
    """In pieces; what was sent since, and what was not, stays."""
    assert stored.pool is not None
    await stored.outbox.log_is("log-1")
    await stored.write(*(stored.message(number) for number in range(1, 6)))
    await sent(stored)
    await stored.write(stored.message(6))
    await stored.pool.execute(
        "update outbox set sent_at = sent_at - interval '25 hours' where event_id < $1", f"{FIRST}.4"
    )
    assert await stored.outbox.log_is("log-2") == 2
    assert isinstance(stored.outbox, PostgresOutbox)
    assert [await stored.outbox.forget_sent(2) for _ in range(3)] == [2, 1, 0]
    assert await sent(stored) == [f"{FIRST}.{number}" for number in (4, 5, 6)]


async def until_it_waits(pool: asyncpg.Pool, work: asyncio.Future[int]) -> None:
    """Returns once a session of the database waits for a lock, which `work` must not end before."""
    waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while not await pool.fetchval(waits):
        assert not work.done()


async def test_what_the_old_log_took_while_another_was_told_of_is_sent_again(stored: Bench) -> None:
    """A relay that has sent, and not marked yet, is waited for, or finds that it has sent to a log that is gone."""
    pool = stored.pool
    assert pool is not None
    await stored.outbox.log_is("log-1")
    await stored.write(stored.message(1))
    telling: list[asyncio.Future[int]] = []

    async def send(messages: Sequence[Message]) -> Mapping[int, str]:
        telling.append(asyncio.ensure_future(stored.outbox.log_is("log-2")))
        if stored.city:
            await telling[0]
        else:
            await until_it_waits(pool, telling[0])
        return {}

    async with asyncio.timeout(60):
        assert await stored.outbox.relay(10, send) == 1
    await telling[0]
    assert await sent(stored) == [f"{FIRST}.1"]


async def test_a_broker_that_does_not_answer_one_city_holds_up_no_other(core: asyncpg.Pool) -> None:
    """While it takes its time over a city's messages, no connection of the pool that all cities share is in use."""
    await empty(core, "outbox", "outbox_logs")
    roma = Bench(PostgresOutbox(core, CITY), CITY, core)
    await roma.write(roma.message(1))
    in_use: list[int] = []

    async def send(messages: Sequence[Message]) -> Mapping[int, str]:
        in_use.append(core.get_size() - core.get_idle_size())
        return {}

    assert await roma.outbox.relay(10, send) == 1
    assert in_use == [0]


async def test_a_citys_relay_sends_that_citys_messages_only(core: asyncpg.Pool) -> None:
    """And another log of one city is none of another's: each is told by its own owner."""
    await empty(core, "outbox", "outbox_logs")
    roma, milano = (Bench(PostgresOutbox(core, city), city, core) for city in (CITY, "milano"))
    await roma.write(roma.message(1))
    await milano.write(milano.message(1, SECOND))
    for one in (roma, milano):
        await one.outbox.log_is("log-1")
    assert await sent(roma) == [f"{FIRST}.1"]
    assert await roma.outbox.log_is("log-2") == 1
    assert await sent(milano) == [f"{SECOND}.1"]


async def test_all_databases_have_the_same_columns(core: asyncpg.Pool, orders: asyncpg.Pool) -> None:
    """But for the type of an order's id."""
    query = (
        "select column_name, data_type, is_nullable from information_schema.columns"
        " where table_schema = 'public' and table_name = any($1) and column_name <> 'order_id' order by 1, 2, 3"
    )
    shape: Callable[[asyncpg.Record], tuple[str, ...]] = tuple
    shapes = [list(map(shape, await pool.fetch(query, ["outbox", "outbox_logs"]))) for pool in (core, orders)]
    assert shapes[0] == shapes[1] != []


async def test_rows_of_the_release_before_stay_and_its_shards_go_on(stack: LocalStack) -> None:
    """What is there when the outbox is migrated is sent; a shard of the release before goes on beside new ones."""
    before = tuple(file for file in DISPATCH.files if file.name < "0006")
    async with migrated_pool(stack, (ROUTER,)) as pool:
        for file in before:
            await pool.execute(file.read_text())
        insert = (
            "insert into dispatch.outbox (city, order_id, version, payload)"
            " select $1, x.order_id, x.version, x.payload"
            " from unnest($2::text[], $3::bigint[], $4::bytea[]) with ordinality as x(order_id, version, payload, n)"
            " order by x.n"
        )
        await pool.execute(insert, CITY, ["o-1", "o-1"], [1, 2], [b"1", b"2"])
        await pool.execute("insert into dispatch.outbox_logs (city, incarnation) values ($1, 'log-1')", CITY)
        for file in DISPATCH.files[len(before) :]:
            await pool.execute(file.read_text())
        await pool.expire_connections()
        await pool.execute(insert, CITY, ["o-1"], [3], [b"3"])
        with pytest.raises(asyncpg.UniqueViolationError):
            await pool.execute(insert, CITY, ["o-1"], [3], [b"3"])
        first = await pool.fetchrow(
            "select id, order_id, payload from dispatch.outbox"
            " where city = $1 and published_at is null order by id limit $2",
            CITY,
            1,
        )
        assert first["payload"] == b"1"
        mark = "update dispatch.outbox set published_at = clock_timestamp() where id = any($1::bigint[])"
        assert await pool.execute(mark, [first["id"]]) == "UPDATE 1"
        known = "select incarnation from dispatch.outbox_logs where city = $1 for update"
        assert await pool.fetchval(known, CITY) == "log-1"
        await pool.execute(
            "insert into dispatch.outbox_logs (city, incarnation) values ($1, $2)"
            " on conflict (city) do update set incarnation = excluded.incarnation",
            CITY,
            "log-1",
        )
        outbox, publisher = PostgresOutbox(pool, CITY), MemoryPublisher()
        assert await outbox.log_is("log-1") == 0
        assert await outbox.relay(10, publisher.send) == 2
        assert publisher.messages == [
            Message("", "o-1", "dispatch.events", b"2", CITY),
            Message("o-1.3", "o-1", "dispatch.events", b"3", CITY),
        ]
        assert await outbox.log_is("log-2") == 3
