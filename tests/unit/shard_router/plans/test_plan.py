"""Plans: the fewest moves that bring every shard under its target, and shards emptied for maintenance."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from uuid import uuid4

import pytest
import structlog

from node.clock import ManualClock
from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.audit.checks import Audit
from shard_router.errors import MoveRefused, PlanRefused, UnknownShard
from shard_router.grpc_api import MapFeed, ShardRouterApi, _gist
from shard_router.plans.plan import PlanState, StepState, balance, burdens, default_target, empty, moved
from shard_router.plans.runner import PlanRunner
from shard_router.topology import CityEntry, CityLoad, CityMap, ShardEntry, ShardLoad


def a_map(*shards: list[int], draining: str = "") -> CityMap:
    """Shards with cities of so many riders."""
    cities = {
        f"{n}-{i}": CityEntry(f"{n}-{i}", "", 100 * n + i, "UTC", "EUR", 0, 0, owner=f"s{n}", load=CityLoad(riders))
        for n, loads in enumerate(shards)
        for i, riders in enumerate(loads)
    }
    names = [f"s{n}" for n in range(len(shards))]
    return CityMap(1, cities, {s: ShardEntry(s, "", True, 0, draining=s == draining) for s in names})


def fewest(map_: CityMap, target: int) -> int | None:
    """The fewest moves by trying all placements; None when no placement reaches the target."""
    cities, shards, best = list(map_.cities.values()), list(map_.shards), None
    for places in itertools.product(shards, repeat=len(cities)):
        load = dict.fromkeys(shards, 0)
        for city, place in zip(cities, places, strict=True):
            load[place] += city.load.burden
        if max(load.values()) <= target:
            count = sum(city.owner != place for city, place in zip(cities, places, strict=True))
            best = count if best is None else min(best, count)
    return best


@pytest.mark.parametrize("seed", range(12))
def test_no_plan_needs_fewer_moves(seed: int) -> None:
    """Against every possible placement of small maps."""
    rng = random.Random(seed)
    map_ = a_map(*([rng.randint(0, 400) for _ in range(rng.randint(0, 3))] for _ in range(3)))
    target = default_target(map_)
    steps, best = balance(map_, target), fewest(map_, target)
    if best is not None:
        assert len(steps) == best
        assert max(burdens(moved(map_, steps)).values()) <= target


def test_a_balanced_map_needs_no_plan() -> None:
    """Nobody is disturbed for nothing."""
    map_ = a_map([100, 100], [100, 100])
    assert balance(map_, default_target(map_)) == ()


def test_a_city_too_big_for_any_target_stays_alone() -> None:
    """Its neighbours on the shard leave; what cannot be reached is come near to."""
    map_ = a_map([1000, 50, 50], [10])
    after = moved(map_, balance(map_, 500))
    assert [c.city for c in after.owned_by("s0")] == ["0-0"]


def test_a_big_map_is_planned_without_exact_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heaviest cities go to where there is most room; every shard comes under its target."""
    monkeypatch.setattr("shard_router.plans.plan.EXACT_PAIRS", 0)
    rng = random.Random(3)
    map_ = a_map(*([rng.randint(0, 300) for _ in range(rng.randint(0, 40))] for _ in range(20)))
    target = default_target(map_)
    steps = balance(map_, target)
    assert max(burdens(moved(map_, steps)).values()) <= target
    assert len(steps) < len(map_.cities) / 2


def test_an_emptied_shard_has_nothing_left() -> None:
    """Its cities go to the others, heaviest to the emptiest."""
    map_ = a_map([300, 20], [100], [200])
    steps = empty(map_, "s0")
    assert {step.city: step.to_shard for step in steps} == {"0-0": "s1", "0-1": "s2"}
    assert moved(map_, steps).owned_by("s0") == []


def test_a_draining_shard_is_planned_around() -> None:
    """Neither its room nor its load counts."""
    map_ = a_map([100], [100, 300], [], draining="s2")
    assert all(step.to_shard != "s2" for step in balance(map_, 150))


def test_the_last_shard_is_not_drained() -> None:
    """Somebody must be there to take its cities; and it must exist."""
    with pytest.raises(MoveRefused, match="no other living shard"):
        empty(a_map([1]), "s0")
    with pytest.raises(UnknownShard):
        empty(a_map([1]), "s9")


class PlannedWorld:
    """Two shards of which one has three cities, and a runner that a test turns by hand."""

    def __init__(self) -> None:
        self.store = MemoryRouterStore(ManualClock(1_000_000))
        self.runner = PlanRunner(self.store, self.store, structlog.get_logger())

    async def move_ends(self, city: str) -> None:
        """The move under way comes to its good end."""
        entry = (await self.store.read_map()).cities[city]
        await self.store.release(city, entry.owner or "", entry.epoch)
        assert await self.store.claim(city, entry.moving_to or "", entry.epoch)

    async def turn(self) -> list[StepState]:
        """One look of the runner; the states of the steps then."""
        plan = await self.store.running_plan()
        assert plan is not None
        await self.runner.advance(plan)
        found = await self.store.plan(plan.plan_id)
        assert found is not None
        return [step.state for step in found.steps]


@pytest.fixture
async def world() -> PlannedWorld:
    """Shard a is to be emptied of two cities."""
    made = PlannedWorld()
    await made.store.ensure_cities([CityEntry(f"city-{n}", "", n, "UTC", "EUR", 0, 0) for n in range(2)])
    for name in "ab":
        await made.store.enter(name, f"{name}:1", uuid4(), 3)
    for n in range(2):
        await made.store.claim(f"city-{n}", "a", 0)
    plan = await made.store.save_plan(empty(await made.store.read_map(), "a"), "a", "ops")
    await made.store.set_plan(plan.plan_id, PlanState.RUNNING)
    return made


async def test_moves_are_made_one_at_a_time(world: PlannedWorld) -> None:
    """The next begins when the last has ended; then the plan is done."""
    assert await world.turn() == [StepState.MOVING, StepState.WAITING]
    assert await world.turn() == [StepState.MOVING, StepState.WAITING]
    await world.move_ends("city-0")
    assert await world.turn() == [StepState.DONE, StepState.MOVING]
    await world.move_ends("city-1")
    assert await world.turn() == [StepState.DONE, StepState.DONE]
    plan = await world.store.plan(1)
    assert plan is not None
    assert plan.state is PlanState.DONE


async def test_a_drain_ends_when_its_shard_is_empty(world: PlannedWorld) -> None:
    """What was moving when the plan was made, or came later, is waited for and gets a step."""
    await world.store.ensure_cities([CityEntry(f"city-{n}", "", n, "UTC", "EUR", 0, 0) for n in range(3)])
    await world.store.claim("city-2", "b", 0)
    await world.store.request_move("city-2", "a", "ops")
    await world.store.release("city-2", "b", 1)
    await world.store.set_draining("a", True, "ops")
    for n in range(2):
        await world.turn()
        await world.move_ends(f"city-{n}")
    assert await world.turn() == [StepState.DONE, StepState.DONE]
    await world.move_ends("city-2")
    assert await world.turn() == [StepState.DONE, StepState.DONE, StepState.WAITING]
    await world.turn()
    await world.move_ends("city-2")
    assert await world.turn() == [StepState.DONE, StepState.DONE, StepState.DONE]
    plan = await world.store.plan(1)
    assert plan is not None
    assert plan.state is PlanState.DONE
    assert (await world.store.read_map()).owned_by("a") == []


async def test_a_drain_stops_when_nobody_could_take_what_is_left(world: PlannedWorld) -> None:
    """With the reason; `apply` goes on when there is somebody again."""
    await world.store.set_draining("a", True, "ops")
    await world.store.release("city-0", "a", 1)
    await world.store.release("city-1", "a", 1)
    assert await world.turn() == [StepState.SKIPPED, StepState.SKIPPED]
    await world.store.set_plan(1, PlanState.PROPOSED)
    plan = await world.store.save_plan((), "a", "ops")
    await world.store.set_plan(plan.plan_id, PlanState.RUNNING)
    await world.store.claim("city-0", "a", 1)
    await world.store.set_draining("b", True, "ops")
    assert await world.turn() == []
    stopped = await world.store.plan(plan.plan_id)
    assert stopped is not None
    assert (stopped.state, stopped.reason) == (PlanState.STOPPED, "no other living shard could take the cities of a")


def router_api(world: PlannedWorld) -> ShardRouterApi:
    """The router's calls on the world's store."""

    async def nothing_found() -> Audit:
        raise NotImplementedError

    log = structlog.get_logger()
    return ShardRouterApi(world.store, world.store, MapFeed(world.store, log), nothing_found)


async def test_a_drained_shard_gets_no_city_that_was_on_its_way(world: PlannedWorld) -> None:
    """Moves to it fail and their cities stay; one that was let go already comes, and the drain waits to move it on."""
    await world.store.ensure_cities([CityEntry(f"city-{n}", "", n, "UTC", "EUR", 0, 0) for n in range(4)])
    await world.store.set_plan(1, PlanState.STOPPED)
    await world.store.enter("c", "c:1", uuid4(), 3)
    for n in (2, 3):
        await world.store.claim(f"city-{n}", "a", 0)
        await world.store.request_move(f"city-{n}", "c", "ops")
    await world.store.release("city-3", "a", 1)
    answer = await router_api(world).SetDraining(pb.SetDrainingRequest(shard_id="c", draining=True), None)
    cities = (await world.store.read_map()).cities
    assert (cities["city-2"].owner, cities["city-2"].move) == ("a", None)
    assert (await world.store.moves(2))[1].reason == "c is being drained"
    assert cities["city-3"].moving_to == "c"
    assert answer.plan.plan_id == 2
    await world.store.set_plan(2, PlanState.RUNNING)
    assert await world.turn() == []
    await world.move_ends("city-3")
    assert await world.turn() == [StepState.WAITING]


async def test_a_shard_is_not_drained_beside_a_running_plan(world: PlannedWorld) -> None:
    """Refused before anything is changed; and an empty shard needs no plan."""
    api = router_api(world)
    with pytest.raises(PlanRefused, match="stop it first"):
        await api.SetDraining(pb.SetDrainingRequest(shard_id="b", draining=True), None)
    assert not (await world.store.read_map()).shards["b"].draining
    await world.store.set_plan(1, PlanState.STOPPED)
    assert (await api.SetDraining(pb.SetDrainingRequest(shard_id="b", draining=True), None)).plan.plan_id == 0
    assert (await world.store.read_map()).shards["b"].draining


async def test_a_change_under_an_older_version_is_told() -> None:
    """Of two claims made at once the later number may come true first."""
    map_ = a_map([100], [100])
    late = replace(map_, cities={**map_.cities, "0-0": replace(map_.cities["0-0"], owner="s1", epoch=1)})
    assert late.version == map_.version
    assert _gist(late) != _gist(map_)


async def test_a_plan_stops_at_what_fails_and_goes_on_from_there(world: PlannedWorld) -> None:
    """Stopped with the reason; applied again, the failed step is tried again and those done are not."""
    await world.turn()
    await world.move_ends("city-0")
    await world.turn()
    await world.store.fail_move(2, "b cannot follow it", "b")
    assert await world.turn() == [StepState.DONE, StepState.FAILED]
    plan = await world.store.plan(1)
    assert plan is not None
    assert (plan.state, plan.reason) == (PlanState.STOPPED, "city-1: b cannot follow it")
    await world.store.set_plan(1, PlanState.RUNNING)
    assert await world.turn() == [StepState.DONE, StepState.MOVING]


async def test_a_city_that_went_elsewhere_is_skipped(world: PlannedWorld) -> None:
    """The plan was made of another map: what does not fit it any more is left alone."""
    await world.store.release("city-0", "a", 1)
    await world.store.claim("city-0", "b", 1)
    assert await world.turn() == [StepState.SKIPPED, StepState.MOVING]


async def test_only_one_plan_runs(world: PlannedWorld) -> None:
    """Another one has to wait; a plan that is done is not begun again."""
    other = await world.store.save_plan((), None, "ops")
    with pytest.raises(PlanRefused, match="stop it first"):
        await world.store.set_plan(other.plan_id, PlanState.RUNNING)
    await world.store.set_plan(1, PlanState.DONE)
    with pytest.raises(PlanRefused, match="is done"):
        await world.store.set_plan(1, PlanState.RUNNING)


def test_a_load_says_what_it_weighs() -> None:
    """An open order weighs as ten riders; a city that sleeps is not free."""
    assert CityLoad(100, 5).burden == 20 + 100 + 50
    assert ShardLoad().cities == {}
