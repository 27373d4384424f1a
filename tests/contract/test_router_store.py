"""The store of the map and the leases: one suite for memory and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from node import postgres
from node.clock import SystemClock
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.errors import MoveRefused, ShardTaken, UnknownCity
from shard_router.ports import RouterStore
from shard_router.topology import CityEntry, ShardLoad

ROMA = CityEntry("roma", "Roma", 0, "Europe/Rome", "EUR", 419028000, 124964000)
OSLO = CityEntry("oslo", "Oslo", 1, "Europe/Oslo", "NOK", 599139000, 107522000)


@pytest.fixture
async def memory_store() -> RouterStore:
    """Two cities and no shard, in memory."""
    store = MemoryRouterStore(SystemClock())
    await store.ensure_cities([ROMA, OSLO])
    return store


@pytest.fixture
async def postgres_store(fresh_database: str) -> AsyncIterator[RouterStore]:
    """Two cities and no shard, in Postgres."""
    await prepare(fresh_database)
    pool = await postgres.connect(fresh_database)
    store = PostgresRouterStore(pool)
    await store.ensure_cities([ROMA, OSLO])
    yield store
    await pool.close()


@pytest.fixture(params=["memory", "postgres"])
def store(request: pytest.FixtureRequest, memory_store: RouterStore, postgres_store: RouterStore) -> RouterStore:
    """Each of the stores in turn."""
    return memory_store if request.param == "memory" else postgres_store


async def test_cities_are_added_once(store: RouterStore) -> None:
    """Adding the catalogue again keeps owners, epochs and partitions."""
    run = uuid4()
    await store.enter("a", "a:1", run, 3)
    assert await store.claim("roma", "a", 0) == 1
    before = await store.read_map()
    await store.ensure_cities([ROMA, OSLO])
    after = await store.read_map()
    assert after.cities == before.cities
    assert after.version == before.version
    assert after.cities["roma"].owner == "a"
    assert after.cities["roma"].address == "a:1"


async def test_only_one_of_many_claims_wins(store: RouterStore) -> None:
    """Of shards that saw the same epoch exactly one gets the city, in the next epoch."""
    for name in "abcd":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    answers = await asyncio.gather(*(store.claim("roma", name, 0) for name in "abcd"))
    assert sorted(a for a in answers if a is not None) == [1]


async def test_a_living_owner_keeps_its_city(store: RouterStore) -> None:
    """A claim with the right epoch is refused while the owner's lease lives, and granted when it has run out."""
    await store.enter("a", "a:1", uuid4(), 3)
    await store.enter("b", "b:1", uuid4(), 3)
    await store.enter("short", "s:1", uuid4(), 0.0)
    assert await store.claim("roma", "a", 0) == 1
    assert await store.claim("roma", "b", 1) is None
    assert await store.claim("oslo", "short", 0) == 1
    assert await store.claim("oslo", "b", 1) == 2


async def test_a_second_run_of_a_living_shard_is_refused(store: RouterStore) -> None:
    """Two processes with one name: the second one is told, the first goes on."""
    first = uuid4()
    await store.enter("a", "a:1", first, 3)
    with pytest.raises(ShardTaken):
        await store.enter("a", "a:2", uuid4(), 3)
    map_ = await store.beat("a", first, 3, ShardLoad(7, 2, 12.5))
    assert map_.shards["a"].load == ShardLoad(7, 2, 12.5)
    with pytest.raises(ShardTaken):
        await store.beat("a", uuid4(), 3, ShardLoad())


async def test_release_is_idempotent_and_fenced(store: RouterStore) -> None:
    """An owner lets go once; a stale release changes nothing."""
    await store.enter("a", "a:1", uuid4(), 3)
    await store.enter("b", "b:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    await store.release("roma", "a", 1)
    await store.release("roma", "a", 1)
    assert (await store.read_map()).cities["roma"].owner is None
    assert await store.claim("roma", "b", 1) == 2
    await store.release("roma", "a", 1)
    assert (await store.read_map()).cities["roma"].owner == "b"


async def test_a_move_is_reserved_for_its_target(store: RouterStore) -> None:
    """While a city is on its way to a living shard nobody else can claim it."""
    for name in "abc":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    assert (await store.request_move("roma", "b", "ops")).moving_to == "b"
    await store.release("roma", "a", 1)
    assert await store.claim("roma", "c", 1) is None
    assert await store.claim("roma", "b", 1) == 2
    assert (await store.read_map()).cities["roma"].moving_to is None


async def test_moves_that_make_no_sense_are_refused(store: RouterStore) -> None:
    """Each refusal says why."""
    for name in "ab":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    await store.enter("dead", "d:1", uuid4(), 0.0)
    await store.enter("c", "c:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    with pytest.raises(UnknownCity):
        await store.request_move("atlantis", "b", "ops")
    for target, reason in (("a", "SAME_SHARD"), ("nobody", "UNKNOWN_SHARD"), ("dead", "DEAD_TARGET")):
        with pytest.raises(MoveRefused) as refused:
            await store.request_move("roma", target, "ops")
        assert refused.value.reason == reason
    await store.request_move("roma", "b", "ops")
    with pytest.raises(MoveRefused) as refused:
        await store.request_move("roma", "c", "ops")
    assert refused.value.reason == "MOVE_UNDER_WAY"


async def test_changes_are_told(store: RouterStore) -> None:
    """A listener hears the name of a city that changed."""
    await store.enter("a", "a:1", uuid4(), 3)
    async with store.changes() as names, asyncio.timeout(10):
        await store.claim("oslo", "a", 0)
        assert await anext(names) == "oslo"
