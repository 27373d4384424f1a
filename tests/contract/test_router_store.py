"""The store of the map and the leases: one suite for memory and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from node import postgres
from node.clock import SystemClock
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.errors import MoveRefused, PlanRefused, ShardTaken, UnknownCity, UnknownShard
from shard_router.plans.adapters.postgres import PostgresPlanStore
from shard_router.plans.plan import PlanState, Step, StepState
from shard_router.ports import RouterStore
from shard_router.topology import CityEntry, CityLoad, MoveState, ShardLoad

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


async def test_a_move_is_recorded_from_question_to_first_tick(store: RouterStore) -> None:
    """Shadowing, warm, released, done; and how long nobody decided. Asked for again, it is the same move."""
    for name in "ab":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    asked = (await store.request_move("roma", "b", "ops")).move
    assert asked is not None
    assert (asked.state, asked.from_shard, asked.to_shard, asked.actor) == (MoveState.SHADOWING, "a", "b", "ops")
    again = (await store.request_move("roma", "b", "somebody")).move
    assert again == asked
    await store.warm("roma", "a", asked.move_id)
    assert (await store.read_map()).cities["roma"].move == asked
    await store.warm("roma", "b", asked.move_id)
    warm = (await store.read_map()).cities["roma"].move
    assert warm is not None
    assert warm.state is MoveState.WARM
    await store.release("roma", "a", 1, 0.2)
    assert not await store.fail_move(asked.move_id, "too late", "ops")
    assert await store.claim("roma", "b", 1) == 2
    await store.first_tick("roma", "b", 2)
    (done,) = await store.moves(5)
    assert (done.state, done.reason, done.under_way) == (MoveState.DONE, "", False)
    assert done.gap_ms is not None
    assert done.gap_ms >= 199
    assert (await store.read_map()).cities["roma"].move is None


async def test_a_move_called_off_leaves_the_owner(store: RouterStore) -> None:
    """It has failed with its reason, and another one may be asked for."""
    for name in "abc":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    move = (await store.request_move("roma", "b", "ops")).move
    assert move is not None
    assert await store.fail_move(move.move_id, "called off", "ops")
    assert not await store.fail_move(move.move_id, "called off", "ops")
    entry = (await store.read_map()).cities["roma"]
    assert (entry.owner, entry.moving_to, entry.move) == ("a", None, None)
    assert (await store.request_move("roma", "c", "ops")).moving_to == "c"
    assert [(m.to_shard, m.state, m.reason) for m in await store.moves(5)] == [
        ("c", MoveState.SHADOWING, ""),
        ("b", MoveState.FAILED, "called off"),
    ]


async def test_a_city_whose_target_died_may_be_claimed_by_anybody(store: RouterStore) -> None:
    """Released to a target whose lease has run out, it goes to whoever claims it, and the move tells."""
    await store.enter("a", "a:1", uuid4(), 3)
    await store.enter("b", "b:1", uuid4(), 0.05)
    assert await store.claim("roma", "a", 0) == 1
    move = (await store.request_move("roma", "b", "ops")).move
    assert move is not None
    await store.warm("roma", "b", move.move_id)
    await store.release("roma", "a", 1)
    async with asyncio.timeout(10):
        while (epoch := await store.claim("roma", "a", 1)) is None:  # noqa: ASYNC110  the lease is the store's
            await asyncio.sleep(0.02)
    assert epoch == 2
    (failed,) = await store.moves(5)
    assert (failed.state, failed.reason) == (MoveState.FAILED, "b did not take it; a did")


async def test_loads_and_shadows_come_with_the_heartbeat(store: RouterStore) -> None:
    """By city, with what the fence refused, and how far behind a shadow is."""
    first, second = uuid4(), uuid4()
    await store.enter("a", "a:1", first, 3)
    await store.enter("b", "b:1", second, 3)
    assert await store.claim("roma", "a", 0) == 1
    await store.request_move("roma", "b", "ops")
    await store.beat("a", first, 3, ShardLoad(7, 2, 12.5, 3, {"roma": CityLoad(7, 2, 12.5)}))
    map_ = await store.beat("b", second, 3, ShardLoad(shadows={"roma": 41}))
    assert map_.cities["roma"].load == CityLoad(7, 2, 12.5)
    assert map_.cities["roma"].behind == 41
    assert map_.shards["a"].load.refused == 3


async def test_a_drained_shard_is_no_target(store: RouterStore) -> None:
    """Until it is undrained; unknown ones are said so."""
    for name in "ab":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    plans = store if isinstance(store, MemoryRouterStore) else PostgresPlanStore(store._pool)  # type: ignore[attr-defined]
    with pytest.raises(UnknownShard):
        await plans.set_draining("nobody", True, "ops")
    await plans.set_draining("b", True, "ops")
    with pytest.raises(MoveRefused) as refused:
        await store.request_move("roma", "b", "ops")
    assert refused.value.reason == "DRAINING"
    await plans.set_draining("b", False, "ops")
    assert (await store.request_move("roma", "b", "ops")).moving_to == "b"


async def test_a_drain_ends_moves_to_the_shard(store: RouterStore) -> None:
    """With the reason; but not one whose city was let go already: it would have no owner."""
    for name in "ab":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    for city in ("roma", "oslo"):
        assert await store.claim(city, "a", 0) == 1
        await store.request_move(city, "b", "ops")
    await store.release("oslo", "a", 1)
    plans = store if isinstance(store, MemoryRouterStore) else PostgresPlanStore(store._pool)  # type: ignore[attr-defined]
    await plans.set_draining("b", True, "ops")
    cities = (await store.read_map()).cities
    assert (cities["roma"].owner, cities["roma"].moving_to) == ("a", None)
    assert cities["oslo"].moving_to == "b"
    released, failed = await store.moves(2)
    assert (released.state, failed.state) == (MoveState.RELEASED, MoveState.FAILED)
    assert failed.reason == "b is being drained"


async def test_a_city_let_go_without_a_known_last_tick_has_no_gap(store: RouterStore) -> None:
    """Its owner had started anew, or its release was not heard: no time is made up."""
    for name in "ab":
        await store.enter(name, f"{name}:1", uuid4(), 3)
    assert await store.claim("roma", "a", 0) == 1
    await store.request_move("roma", "b", "ops")
    await store.release("roma", "a", 1)
    assert await store.claim("roma", "b", 1) == 2
    await store.first_tick("roma", "b", 2)
    (done,) = await store.moves(5)
    assert (done.state, done.gap_ms) == (MoveState.DONE, None)


async def test_plans_are_kept(store: RouterStore) -> None:
    """Steps in their order; one plan runs at a time; resumed, what failed waits again."""
    plans = store if isinstance(store, MemoryRouterStore) else PostgresPlanStore(store._pool)  # type: ignore[attr-defined]
    steps = (Step("roma", "a", "b", 10, 1), Step("oslo", "a", "c", 20, 2))
    assert await plans.plan(None) is None
    saved = await plans.save_plan(steps, "a", "ops")
    assert await plans.plan(None) == await plans.plan(saved.plan_id) == saved
    other = await plans.save_plan((), None, "ops")
    assert (await plans.set_plan(saved.plan_id, PlanState.RUNNING)).state is PlanState.RUNNING
    with pytest.raises(PlanRefused):
        await plans.set_plan(other.plan_id, PlanState.RUNNING)
    await plans.set_step(saved.plan_id, 1, replace(steps[1], state=StepState.FAILED, reason="c died"))
    stopped = await plans.set_plan(saved.plan_id, PlanState.STOPPED, "oslo: c died")
    assert (stopped.reason, stopped.steps[1].reason) == ("oslo: c died", "c died")
    assert await plans.running_plan() is None
    again = await plans.set_plan(saved.plan_id, PlanState.RUNNING)
    assert [step.state for step in again.steps] == [StepState.WAITING, StepState.WAITING]
    assert await plans.running_plan() == again
    more = Step("lima", "a", "b", 5, 0)
    for _ in range(2):  # two routers do
        await plans.add_steps(saved.plan_id, 2, [more])
    assert await plans.plan(saved.plan_id) == replace(again, steps=(*again.steps, more))


async def test_changes_are_told(store: RouterStore) -> None:
    """A listener hears the name of a city that changed."""
    await store.enter("a", "a:1", uuid4(), 3)
    async with store.changes() as names, asyncio.timeout(10):
        await store.claim("oslo", "a", 0)
        assert await anext(names) == "oslo"
