"""The order store: memory and Postgres keep the same promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio

from benchmarks.orders.cli import LAG
from deploy.stack.stack import LocalStack
from node import set_aside
from node.clock import ManualClock
from node.errors import Retryable
from node.outbox.memory import MemoryOutbox
from node.outbox.message import Message
from node.outbox.postgres import PostgresOutbox
from node.postgres import PoolExhausted
from orders.ids import checked_order_id
from orders.messaging import postgres as messaging
from orders.messaging.message import Offset
from orders.model import Order, Status
from orders.ordering.adapters.codec import decode
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.adapters.postgres.database import OrderDatabase
from orders.ordering.adapters.postgres.decisions import PostgresDecisions
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.schema import SCHEMAS
from orders.ordering.adapters.postgres.stuck import PostgresStuckOrders
from orders.ordering.errors import KeyReused, TransitionRefused
from orders.ordering.event_inbox import ReceivedEvent, Source
from orders.ordering.events import Change
from orders.ordering.observers import WriteObserver, WriteObservers
from orders.ordering.ports import IdempotencyKey, Page
from orders.ordering.saga import Signal, step
from orders.ordering.store import OrderStore
from orders.ordering.transitions import Trigger
from orders.ranges import Range
from proto.dispatch.v1 import dispatch_event_pb2 as dispatch_pb
from proto.orders.v1.order_event_pb2 import OrderEvent
from proto.payments.v1 import payment_event_pb2 as payment_pb
from tests.contract.orders_databases import empty, migrated_pool
from tests.unit.orders.worlds import ANA, NOW_MS, order_id, placed


@dataclass(frozen=True, slots=True)
class Store(OrderStore):
    """The three ports of a database, and the outbox that they fill."""

    outbox: MemoryOutbox | PostgresOutbox
    #: A minute passes.
    grow_old: Callable[[], Awaitable[object]]


KEY = IdempotencyKey("key-00000001", b"body")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pool(stack: LocalStack) -> AsyncIterator[asyncpg.Pool]:
    """The database of this file."""
    async with migrated_pool(stack, SCHEMAS) as pool:
        yield pool


@pytest.fixture
async def postgres_store(pool: asyncpg.Pool) -> Store:
    """An empty store in Postgres, its partitions made."""
    await empty(
        pool, "orders", "idempotency_keys", "outbox", "told_again", "inbox_held", "kafka_offsets", "shard_range"
    )
    clock = ManualClock(NOW_MS)
    await OrderDatabase(pool, clock).make_partitions()
    return in_postgres(pool, clock)


def in_postgres(pool: asyncpg.Pool, clock: ManualClock) -> Store:
    """The store in a database."""
    return Store(
        PostgresReads(pool),
        PostgresDecisions(pool, clock, lambda: None),
        PostgresStuckOrders(pool, lambda: None),
        PostgresOutbox(pool),
        lambda: pool.execute("update orders set changed_at = changed_at - interval '1 minute'"),
    )


def in_memory() -> Store:
    """An empty store in memory."""
    clock = ManualClock(NOW_MS)
    orders = MemoryOrders(clock)

    async def grow_old() -> None:
        clock.advance(60_000)

    return Store(orders, orders, orders, orders.outbox, grow_old)


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest, postgres_store: Store) -> Store:
    """An empty store of each kind in turn."""
    return in_memory() if request.param == "memory" else postgres_store


async def relayed(store: Store) -> list[Message]:
    """Everything that is to be sent, sent."""
    sent: list[Message] = []

    async def send(messages: Sequence[Message]) -> dict[int, str]:
        sent.extend(messages)
        return {}

    while await store.outbox.relay(100, send):
        pass
    return sent


def offset(number: int) -> list[Offset]:
    """Somewhere in a topic."""
    return [Offset("dispatch.events", 0, number)]


def payment(version: int, kind: str) -> ReceivedEvent:
    """An event of payments about the one order."""
    event = payment_pb.PaymentEvent(order_id=order_id(), version=version, at_ms=NOW_MS + version)
    getattr(event, kind).SetInParent()
    return decode(Source.PAYMENTS, event.SerializeToString())


def dispatched(version: int, kind: str) -> ReceivedEvent:
    """An event of dispatch about the one order."""
    event = dispatch_pb.DispatchEvent(order_id=order_id(), version=version, at_ms=NOW_MS + 10 * version)
    getattr(event, kind).SetInParent()
    return decode(Source.DISPATCH, event.SerializeToString())


async def test_a_placed_order_is_found_as_it_was_placed(store: Store) -> None:
    """Every field comes back, and its event is to be sent."""
    change = placed()
    placement = await store.decisions.place(change, KEY)
    assert (placement.order, placement.replayed) == (change.order, False)
    assert await store.reads.get(order_id()) == change.order
    assert await store.reads.get(order_id(2)) is None
    (message,) = await relayed(store)
    event = OrderEvent.FromString(message.payload)
    assert (event.version, event.placed.payment_token, event.placed.amount.minor) == (1, "tok_ok", 11_340 - 350)
    assert await relayed(store) == []


async def test_a_key_places_once(store: Store) -> None:
    """The second place with a key gives back the first order; with another body it is a conflict and writes nothing."""
    await store.decisions.place(placed(1), KEY)
    again = await store.decisions.place(placed(2), KEY)
    assert (again.order.order_id, again.replayed) == (order_id(1), True)
    with pytest.raises(KeyReused):
        await store.decisions.place(placed(3), replace(KEY, body_sha256=b"other"))
    assert len((await store.reads.page(ANA, None, 10)).orders) == len(await relayed(store)) == 1


async def test_one_of_many_at_the_same_time_with_a_key_wins(store: Store) -> None:
    """Ten at once place one order, and all get that one."""
    placements = await asyncio.gather(*(store.decisions.place(placed(number), KEY) for number in range(10)))
    assert sum(not placement.replayed for placement in placements) == 1
    assert len({placement.order.order_id for placement in placements}) == 1
    assert len(await relayed(store)) == 1


async def test_pages_are_newest_first_and_of_one_user(store: Store) -> None:
    """Pages go backwards from the cursor, over the end of a month."""
    month_ms = 30 * 24 * 3_600_000
    for number in range(1, 6):
        await store.decisions.place(
            placed(number, at_ms=NOW_MS + number * month_ms // 4), replace(KEY, key=f"key-{number}")
        )
    newest = await store.reads.page(ANA, None, 2)
    rest = await store.reads.page(ANA, checked_order_id(newest.next_cursor), 3)
    assert rest.next_cursor == ""
    ids = [order.order_id for order in (*newest.orders, *rest.orders)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 5
    assert await store.reads.page(type(ANA)("ben"), None, 10) == Page([])


async def test_a_refused_change_stores_nothing(store: Store) -> None:
    """What the decision raises reaches the caller; the order and the outbox stay as they are."""
    await store.decisions.place(placed(), KEY)
    await relayed(store)

    def refuse(order: Order) -> Change:
        return step(order, Signal(Trigger.DELIVER, NOW_MS))

    with pytest.raises(TransitionRefused):
        await store.decisions.change(order_id(), refuse)
    assert await store.reads.get(order_id()) == placed().order
    assert await store.decisions.change(order_id(9), refuse) is None
    assert await relayed(store) == []


async def test_a_change_and_its_events_are_stored_together(store: Store) -> None:
    """A cancelled order is cancelled in the store and told once."""
    await store.decisions.place(placed(), KEY)
    cancelled = await store.decisions.change(
        order_id(), lambda order: step(order, Signal(Trigger.CANCEL, NOW_MS, reason="no"))
    )
    assert cancelled == await store.reads.get(order_id())
    assert cancelled is not None
    assert cancelled.status is Status.CANCELLED
    assert [OrderEvent.FromString(m.payload).WhichOneof("kind") for m in await relayed(store)] == [
        "placed",
        "cancelled",
    ]


async def test_events_are_applied_once_in_order_whatever_comes_twice_or_late(store: Store) -> None:
    """A gap is held over batches, repetitions are dropped, unknown orders are counted and passed over."""
    await store.decisions.place(placed(), KEY)
    first = await store.decisions.receive([dispatched(2, "picked_up"), payment(1, "authorised")], offset(2))
    assert (first.applied, first.held) == (1, 1)
    again = await store.decisions.receive([payment(1, "authorised"), dispatched(2, "picked_up")], offset(3))
    assert (again.applied, again.duplicates, again.held) == (0, 2, 1)
    third = await store.decisions.receive([dispatched(3, "delivered"), dispatched(1, "assigned")], offset(4))
    assert (third.applied, third.held) == (3, 0)
    order = await store.reads.get(order_id())
    assert order is not None
    assert order.status is Status.DELIVERED
    assert [line.status for line in order.history][2:] == [
        Status.ACCEPTED,
        Status.ASSIGNED,
        Status.PICKED_UP,
        Status.DELIVERED,
    ]
    stranger = replace(payment(1, "authorised"), order_id=order_id(77))
    assert (await store.decisions.receive([stranger], offset(5))).unknown == 1


#: A field of a newer release, numbered 100.
OF_A_NEWER_RELEASE = b"\xa2\x06\x00"


def of_unknown_kind(version: int) -> ReceivedEvent:
    """An event of dispatch about the one order that this release does not know."""
    event = dispatch_pb.DispatchEvent(order_id=order_id(), version=version, at_ms=NOW_MS)
    return decode(Source.DISPATCH, event.SerializeToString() + OF_A_NEWER_RELEASE)


async def test_an_event_of_an_unknown_kind_holds_up_none_behind_it(store: Store) -> None:
    """It counts as its version and changes nothing, whether it comes in turn or waits for those before it."""
    await store.decisions.place(placed(), KEY)
    first = await store.decisions.receive(
        [payment(1, "authorised"), dispatched(1, "assigned"), dispatched(3, "picked_up")], offset(2)
    )
    assert (first.applied, first.held) == (2, 1)
    before = await store.reads.get(order_id())
    second = await store.decisions.receive([of_unknown_kind(2), of_unknown_kind(5)], offset(3))
    assert (second.applied, second.held) == (2, 1)
    third = await store.decisions.receive([dispatched(6, "delivered"), of_unknown_kind(4)], offset(4))
    assert (third.applied, third.held) == (3, 0)
    order = await store.reads.get(order_id())
    assert before is not None
    assert order is not None
    assert (before.status, order.status) == (Status.ASSIGNED, Status.DELIVERED)


async def test_an_event_that_holds_a_nul_is_stored_and_holds_up_none_behind_it(store: Store) -> None:
    """Though it has to wait for the one before it: its text is kept with the character escaped."""
    await store.decisions.place(placed(), KEY)
    await store.decisions.receive([payment(1, "authorised")], offset(1))
    event = dispatch_pb.DispatchEvent(order_id=order_id(), version=2, at_ms=NOW_MS)
    event.unassigned.reason = "flat\0tyre"
    unassigned = decode(Source.DISPATCH, event.SerializeToString())
    waiting = await store.decisions.receive([unassigned, dispatched(3, "assigned")], offset(3))
    assert (waiting.applied, waiting.held) == (0, 2)
    applied = await store.decisions.receive([dispatched(1, "assigned")], offset(4))
    assert (applied.applied, applied.held) == (3, 0)
    order = await store.reads.get(order_id())
    assert order is not None
    assert order.status is Status.ASSIGNED
    assert "flat\\x00tyre" in [line.reason for line in order.history]


class Noting(WriteObserver):
    """Notes who placed something, and how often nobody knew what was written."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.unknown = 0

    def outcome_unknown(self) -> None:
        """Count it."""
        self.unknown += 1

    async def placed(self, order: Order) -> None:
        """Note it."""
        self.orders.append(order)


async def test_who_placed_an_order_is_told_of_also_when_nobody_knows_whether_it_was_stored(
    postgres_store: Store, pool: asyncpg.Pool
) -> None:
    """A call that was given up may have been committed: the customer must not read what is old."""
    noting = Noting()
    decisions = PostgresDecisions(pool, ManualClock(NOW_MS), lambda: None, WriteObservers((noting,)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await decisions.place(placed(), KEY)
    assert noting.orders == [placed().order]


async def test_a_call_that_found_no_connection_free_leaves_no_doubt(
    postgres_store: Store, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was begun: caches and replicas stay in use, so an overload sends no reads to the database that has it."""
    noting = Noting()
    decisions = PostgresDecisions(pool, ManualClock(NOW_MS), lambda: None, WriteObservers((noting,)))
    held = [await pool.acquire() for _ in range(pool.get_max_size())]
    monkeypatch.setattr("node.postgres.pool.ACQUIRE_S", 0.05)
    for call in (
        decisions.place(placed(), KEY),
        decisions.change(order_id(), lambda order: step(order, Signal(Trigger.CANCEL, NOW_MS))),
        decisions.receive([payment(1, "authorised")], offset(1)),
    ):
        with pytest.raises(PoolExhausted):
            await call
    for connection in held:
        await pool.release(connection)
    assert (noting.orders, noting.unknown) == ([], 0)


async def test_messages_of_an_order_are_relayed_in_the_order_they_were_written(store: Store) -> None:
    """A failed send leaves everything to be sent again, in the same order; told again means sent again."""
    await store.decisions.place(placed(), KEY)
    await store.decisions.receive([payment(1, "authorised")], offset(1))

    async def fail(messages: Sequence[Message]) -> dict[int, str]:
        raise Retryable("the broker is away")

    with pytest.raises(Retryable):
        await store.outbox.relay(10, fail)
    ids = [message.event_id for message in await relayed(store)]
    assert ids == [f"{order_id()}-1", f"{order_id()}-2", f"{order_id()}-opened"]
    await store.grow_old()
    assert await store.stuck.send_again(Status.ACCEPTED, 30, 10) == 1
    assert await store.stuck.send_again(Status.ACCEPTED, 30, 10) == 0
    assert [message.event_id for message in await relayed(store)] == ids


async def test_orders_that_were_told_lately_do_not_hold_up_those_behind_them(store: Store) -> None:
    """One at a time: the oldest is told, then left alone, and the next one has its turn. All of them count."""
    for number in (1, 2):
        await store.decisions.place(placed(number), replace(KEY, key=f"key-0000000{number}"))
        await store.grow_old()
    assert len(await relayed(store)) == 2
    for number in (1, 2):
        assert await store.stuck.send_again(Status.PLACED, 30, 1) == 1
        assert [message.event_id for message in await relayed(store)] == [f"{order_id(number)}-1"]
    assert await store.stuck.send_again(Status.PLACED, 30, 1) == 0
    assert (await store.stuck.count_stuck(Status.PLACED, 30), await store.stuck.count_stuck(Status.ACCEPTED, 30)) == (
        2,
        0,
    )


async def test_stuck_orders_are_found_by_status_and_age(store: Store) -> None:
    """An order that has just changed is not stuck; with no age to wait for it is."""
    await store.decisions.place(placed(), KEY)
    assert await store.stuck.stuck(Status.PLACED, 3600, 10) == []
    assert await store.stuck.stuck(Status.ACCEPTED, -1, 10) == []
    assert await store.stuck.stuck(Status.PLACED, -1, 10) == [order_id()]


async def test_two_relays_never_split_an_order(postgres_store: Store) -> None:
    """While one relay sends an order's first message, another gets neither that nor the later ones."""
    store = postgres_store
    await store.decisions.place(placed(), KEY)
    seen: list[list[str]] = []

    async def send(messages: Sequence[Message]) -> dict[int, str]:
        await store.decisions.receive([payment(1, "authorised")], offset(1))
        other: list[Message] = []

        async def send_other(messages: Sequence[Message]) -> dict[int, str]:
            other.extend(messages)
            return {}

        assert await store.outbox.relay(10, send_other) == 0
        seen.append([message.event_id for message in messages])
        return {}

    assert await store.outbox.relay(10, send) == 1
    assert [message.event_id for message in await relayed(store)] == [f"{order_id()}-2", f"{order_id()}-opened"]
    assert seen == [[f"{order_id()}-1"]]


async def test_a_database_made_for_other_points_is_refused(postgres_store: Store, pool: asyncpg.Pool) -> None:
    """The wrong range map would look for orders where they are not: the process must not start."""
    database = OrderDatabase(pool, ManualClock(NOW_MS))
    await database.claim_range(Range(0, 99, "orders_0"))
    await database.claim_range(Range(0, 99, "orders_0"))
    with pytest.raises(ValueError, match="made for points 0-99"):
        await database.claim_range(Range(0, 65535, "orders_0"))


async def test_a_connection_that_is_cut_is_retryable(postgres_store: Store, pool: asyncpg.Pool) -> None:
    """A query whose backend ends says `Retryable`, so that loops wait and callers retry."""
    async with pool.acquire() as locker, locker.transaction():
        await locker.execute("lock table orders in access exclusive mode")
        waiting = asyncio.create_task(postgres_store.reads.get(order_id()))
        while not await pool.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        ):
            pass
        with pytest.raises(Retryable):
            await waiting


async def test_the_last_and_the_first_moment_of_a_month_are_in_their_own_partitions(
    postgres_store: Store, pool: asyncpg.Pool
) -> None:
    """Months are cut in UTC: late on 30 November in La Serena is December. Found by id, and listed over the cut."""
    december_ms = 1_796_083_200_000  # 2026-12-01T00:00Z, 21:00 of the day before in La Serena
    moments = (december_ms - 1, december_ms, december_ms + 3_600_000)
    for number, at_ms in enumerate(moments, 1):
        await postgres_store.decisions.place(placed(number, at_ms=at_ms), replace(KEY, key=f"key-{number}"))
    rows = await pool.fetch("select tableoid::regclass::text as part, count(*) as n from orders group by 1 order by 1")
    assert [tuple(row) for row in rows] == [("orders_2026_11", 1), ("orders_2026_12", 2)]
    for number, at_ms in enumerate(moments, 1):
        assert await postgres_store.reads.get(order_id(number, at_ms=at_ms)) is not None
    listed = await postgres_store.reads.page(ANA, order_id(3, at_ms=moments[2]), 10)
    assert [order.order_id for order in listed.orders] == [order_id(2, at_ms=moments[1]), order_id(1, at_ms=moments[0])]


async def test_a_clock_that_is_set_back_an_hour_at_the_start_of_a_month_loses_no_order(pool: asyncpg.Pool) -> None:
    """A process that starts with the clock of last month finds its partition: it is made with the month before."""
    december_ms = 1_796_083_200_000
    clock = ManualClock(december_ms + 60_000)
    store = in_postgres(pool, clock)
    await OrderDatabase(pool, clock).make_partitions()
    set_back_ms = clock.wall_ms() - 3_600_000
    change = placed(8, at_ms=set_back_ms)
    await store.decisions.place(change, replace(KEY, key="key-of-the-hour-before"))
    assert await store.reads.get(change.order.order_id) == change.order


async def test_old_keys_are_forgotten_and_young_ones_kept(postgres_store: Store, pool: asyncpg.Pool) -> None:
    """After thirty days a key is free again."""
    await postgres_store.decisions.place(placed(1), KEY)
    await postgres_store.decisions.place(placed(2), replace(KEY, key="key-00000002"))
    await pool.execute("update idempotency_keys set created_at = now() - interval '31 days' where key = $1", KEY.key)
    await OrderDatabase(pool, ManualClock(NOW_MS)).forget()
    assert [row["key"] for row in await pool.fetch("select key from idempotency_keys")] == ["key-00000002"]


async def test_much_that_grew_old_is_forgotten_in_batches(
    postgres_store: Store, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten old messages, three at a time: each deletion is bounded, none is left, and a young one stays."""
    monkeypatch.setattr(messaging, "BATCH", 3)
    await postgres_store.decisions.place(placed(), KEY)
    await relayed(postgres_store)
    await pool.execute(
        "insert into outbox (event_id, order_id, topic, city, payload, sent_at)"
        " select n::text, $1, 'order.events', '', '', now() - interval '25 hours' from generate_series(1, 10) n",
        order_id(),
    )
    counted = CountedDeletes()
    monkeypatch.setattr(messaging, "PostgresOutbox", counted)
    await messaging.forget_sent(pool)
    assert counted.deleted == [3, 3, 3, 1]
    assert [row["event_id"] for row in await pool.fetch("select event_id from outbox")] == [f"{order_id()}-1"]


async def test_the_bench_counts_a_message_that_is_still_unsent_as_waiting(
    postgres_store: Store, pool: asyncpg.Pool
) -> None:
    """One that has waited for an hour is an hour late, sent or not; what was written before the run does not count."""
    await postgres_store.decisions.place(placed(), KEY)
    await pool.execute("update outbox set written_at = written_at - interval '1 hour'")
    (hour_ago,) = await pool.fetchrow("select min(written_at) from outbox")
    found = await pool.fetchrow(LAG, hour_ago)
    assert found["messages"] == 1
    assert found["p99_ms"] >= 3_600_000
    assert (await pool.fetchrow(LAG, hour_ago + timedelta(minutes=1)))["messages"] == 0


class CountedDeletes:
    """An outbox that says how many rows each deletion took."""

    def __init__(self) -> None:
        self.deleted: list[int] = []

    def __call__(self, pool: asyncpg.Pool) -> CountedDeletes:
        """The outbox of a pool."""
        self._outbox = PostgresOutbox(pool)
        return self

    async def forget_sent(self, most: int) -> int:
        """As the outbox does it."""
        self.deleted.append(await self._outbox.forget_sent(most))
        return self.deleted[-1]


async def test_a_message_that_will_never_be_taken_is_set_aside_and_the_others_go_on(
    postgres_store: Store, pool: asyncpg.Pool
) -> None:
    """It counts as sent, with its reason and its whole body; the relay does not come to it again."""
    store = postgres_store
    for number in (1, 2):
        await store.decisions.place(placed(number), replace(KEY, key=f"key-0000000{number}"))
    sent: list[Message] = []

    async def send(messages: Sequence[Message]) -> dict[int, str]:
        bad = {n: "too large" for n, message in enumerate(messages) if message.key == order_id(1)}
        sent.extend(message for n, message in enumerate(messages) if n not in bad)
        return bad

    assert await store.outbox.relay(10, send) == 2
    assert [message.key for message in sent] == [order_id(2)]
    assert await relayed(store) == []
    async with pool.acquire() as connection:
        (row,) = await set_aside.rows(connection, 10)
        await set_aside.forget(connection, row.id)
    assert (row.reader, row.partition, row.key, row.reason) == ("relay", set_aside.UNSENT, order_id(1), "too large")
    assert row.whole
