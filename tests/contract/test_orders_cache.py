"""The cache of recent orders: memory and Redis keep the same promises, and a dead Redis harms nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from deploy.stack.stack import LocalStack
from node.clock import ManualClock
from node.errors import Retryable
from orders.messaging.message import Offset
from orders.model import Order, OrderId, Status
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.cache import redis_recent
from orders.ordering.cache.memory import MemoryRecent
from orders.ordering.cache.reads import CachedReads, CacheInvalidation
from orders.ordering.cache.redis_recent import LIFE_S, RedisRecent
from orders.ordering.errors import TransitionRefused
from orders.ordering.event_inbox import SeenVersions, Source
from orders.ordering.events import Change
from orders.ordering.observers import WriteObservers
from orders.ordering.ports import IdempotencyKey
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger
from tests.unit.orders.worlds import NOW_MS, heard, order_id, placed

Recent = MemoryRecent | RedisRecent
MOST = 20


@pytest_asyncio.fixture(loop_scope="session")
async def redis(stack: LocalStack) -> AsyncIterator[Redis]:
    """The shared Redis, without a trace of orders."""
    redis = Redis.from_url(stack.env["FORNO_REDIS_URL"])
    keys = [key async for key in redis.scan_iter("{orders}*")]
    if keys:
        await redis.delete(*keys)
    yield redis
    await redis.aclose()


@pytest.fixture(params=["memory", "redis"])
def recent(request: pytest.FixtureRequest, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Recent:
    """An empty cache of each kind in turn, with room for `MOST` orders."""
    monkeypatch.setattr(redis_recent, "TIMEOUT_S", 5.0)
    if request.param == "memory":
        return MemoryRecent(MOST)
    return believed(redis, ManualClock(NOW_MS))


def believed(redis: Redis, clock: ManualClock) -> RedisRecent:
    """A cache of a process that has run for a while."""
    recent = RedisRecent(redis, MOST, clock, structlog.get_logger())
    clock.advance(int(1000 * LIFE_S))
    return recent


def at_version(version: int, number: int = 1) -> Order:
    """The order as it was at a version."""
    return replace(placed(number).order, version=version)


async def test_what_was_kept_is_found_as_it_was(recent: Recent) -> None:
    """Every field comes back, through Redis too; what was never kept is not found."""
    assert await recent.find(order_id()) is None
    await recent.keep(at_version(3))
    assert await recent.find(order_id()) == at_version(3)
    await recent.keep(at_version(4))
    assert await recent.find(order_id()) == at_version(4)


async def test_a_slow_reader_overwrites_nothing(recent: Recent) -> None:
    """The stale write race: read version 1, the order changes to 2 and is invalidated, then the reader writes 1."""
    await recent.keep(at_version(1))
    await recent.changed([(order_id(), 2)])
    assert await recent.find(order_id()) is None
    await recent.keep(at_version(1))
    assert await recent.find(order_id()) is None
    await recent.keep(at_version(2))
    assert await recent.find(order_id()) == at_version(2)
    await recent.changed([(order_id(), 2)])  # said twice, or late
    assert await recent.find(order_id()) == at_version(2)


async def test_the_least_recently_used_goes_first(recent: Recent) -> None:
    """The number of orders is bounded; one that is read stays."""
    await recent.keep(at_version(1, 0))
    for number in range(1, 3 * MOST):
        if isinstance(recent, RedisRecent):
            assert isinstance(recent._clock, ManualClock)
            recent._clock.advance(1)
        assert await recent.find(order_id(0)) is not None
        await recent.keep(at_version(1, number))
    found = [number for number in range(3 * MOST) if await recent.find(order_id(number)) is not None]
    assert found == [0, *range(2 * MOST + 1, 3 * MOST)]


async def test_entries_of_redis_run_out(redis: Redis) -> None:
    """Each has an end, which reading it does not put off."""
    recent = believed(redis, ManualClock(NOW_MS))
    await recent.keep(at_version(1))
    (key,) = [key async for key in redis.scan_iter("{orders}:order:*")]
    assert 0 < await redis.pttl(key) <= 1000 * LIFE_S


async def test_a_redis_that_may_have_missed_a_change_is_not_believed(redis: Redis) -> None:
    """Away during a change: until the entries of before have run out, nothing is read from it."""
    clock = ManualClock(NOW_MS)
    recent = believed(redis, clock)
    await recent.keep(at_version(1))
    assert await recent.find(order_id()) == at_version(1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = Redis(host="127.0.0.1", port=nobody.getsockname()[1])
        there, recent._keep.registered_client = recent._keep.registered_client, away
        await recent.changed([(order_id(), 2)])
        recent._keep.registered_client = there
        await away.aclose()
    clock.advance(int(1000 * LIFE_S) - 1)
    assert await recent.find(order_id()) is None
    clock.advance(1)
    assert await recent.find(order_id()) == at_version(1)  # in life, Redis itself has let it go by now


async def test_a_store_with_a_cache_never_shows_an_order_as_it_was_before_a_change(recent: Recent) -> None:
    """By a customer, by an event; and decisions read the store."""
    store = watched(recent)
    orders = CachedReads(store, recent)
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    assert (await got(orders)).status is Status.PLACED
    paid = heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS), order_id())
    await store.receive([paid], [Offset("payment.events", 0, 1)])
    assert (await got(orders)).status is Status.ACCEPTED
    await store.change(order_id(), lambda order: step(order, Signal(Trigger.CANCEL, NOW_MS)))
    assert (await got(orders)).status is Status.CANCELLED
    assert await recent.find(order_id()) == await store.get(order_id())


async def test_a_process_that_starts_believes_nothing_until_what_was_there_has_run_out(redis: Redis) -> None:
    """Whoever was killed between a commit and its word of it left an order that is old."""
    await believed(redis, ManualClock(NOW_MS)).keep(at_version(1))
    clock = ManualClock(NOW_MS)
    recent = RedisRecent(redis, MOST, clock, structlog.get_logger())
    assert await recent.find(order_id()) is None
    clock.advance(int(1000 * LIFE_S))
    assert await recent.find(order_id()) == at_version(1)  # in life, Redis itself has let it go by now


class Unsure(MemoryOrders):
    """A store that commits and then fails, once it is told with what."""

    error: BaseException | None = None

    def _keep(self, change: Change, seen: SeenVersions) -> None:
        super()._keep(change, seen)
        if self.error is not None:
            raise self.error


async def cancelled(store: MemoryOrders) -> None:
    """By the customer."""
    await store.change(order_id(), lambda order: step(order, Signal(Trigger.CANCEL, NOW_MS)))


async def paid(store: MemoryOrders) -> None:
    """As payments tell."""
    await store.receive([heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS), order_id())], [])


@pytest.mark.parametrize("change", [cancelled, paid])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), Retryable("lost in the middle"), ValueError("odd")])
async def test_a_change_of_unknown_outcome_leaves_nothing_old_to_be_found(
    recent: Recent, error: BaseException, change: Callable[[MemoryOrders], Awaitable[None]]
) -> None:
    """The commit may have been done: what the cache has is doubted."""
    store = Unsure(ManualClock(NOW_MS), observers(recent))
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    orders = CachedReads(store, recent)
    assert (await got(orders)).status is Status.PLACED
    store.error = error
    with pytest.raises(type(error)):
        await change(store)
    assert (await got(orders)).status is not Status.PLACED


async def test_a_refusal_costs_the_cache_nothing(recent: Recent) -> None:
    """What the state table refuses was never written: the order is still found."""
    store = watched(recent)
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    await got(CachedReads(store, recent))
    with pytest.raises(TransitionRefused):
        await store.change(order_id(), lambda order: step(order, Signal(Trigger.CAPTURE, NOW_MS)))
    assert await recent.find(order_id()) is not None


async def test_readers_and_writers_at_once_leave_the_last_version(recent: Recent) -> None:
    """Thirty readers and ten changes, in any turn: afterwards the cache holds nothing old."""
    store = watched(recent)
    orders = CachedReads(store, recent)
    await store.place(placed(), IdempotencyKey("key-00000001", b""))

    def nothing_new(order: Order) -> Change:
        return Change(replace(order, version=order.version + 1))

    await asyncio.gather(
        *(orders.get(order_id()) for _ in range(30)), *(store.change(order_id(), nothing_new) for _ in range(10))
    )
    assert (await got(orders)).version == 11


def observers(recent: Recent) -> WriteObservers:
    """The cache, as it is told of writes."""
    return WriteObservers((CacheInvalidation(recent),))


def watched(recent: Recent) -> MemoryOrders:
    """An empty store whose writes the cache is told of."""
    return MemoryOrders(ManualClock(NOW_MS), observers(recent))


async def got(orders: CachedReads, which: OrderId | None = None) -> Order:
    """The order, which is there."""
    order = await orders.get(which or order_id())
    assert order is not None
    return order
