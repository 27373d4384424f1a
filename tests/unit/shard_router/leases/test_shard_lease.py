"""A shard's hold on its cities, on the memory store and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from shard_router.leases import executor
from shard_router.leases.slots import SlotState
from shard_router.leases.timing import (
    FAILURES,
    LEASE_S,
    MARGIN_S,
    PATIENCE_S,
    SHUN_S,
    START_GAP_S,
    TAKE_PAUSE_S,
    WARM_S,
)
from shard_router.topology import MoveState
from tests.unit.shard_router.leases.worlds import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Two cities, no shard yet."""
    made = World()
    yield made
    await made.end()


@pytest.fixture
async def small_world() -> AsyncIterator[World]:
    """One city, no shard yet."""
    made = World(cities=1)
    yield made
    await made.end()


async def test_two_shards_share_the_cities(world: World) -> None:
    """Shards that start together wait a moment, then own one city each, in epoch 1."""
    await world.start_two()
    assert {*world.hosts["a"].running, *world.hosts["b"].running} == {"city-0", "city-1"}
    city, epoch = next(iter(world.hosts["a"].running.items()))
    assert epoch == 1
    assert world.leases["a"].slots.holds(city, 1)
    assert not world.leases["b"].slots.holds(city, 1)


async def test_a_shard_that_cannot_renew_stops_before_its_lease_ends(small_world: World) -> None:
    """Cut off from the store, it stops deciding a margin before anybody else may start, and drops its cities."""
    world = small_world
    await world.start_one()
    await world.renewed("a")
    world.store.away = True
    world.clock.advance(int((LEASE_S - MARGIN_S) * 1000) - 1)
    assert world.leases["a"].slots.holds("city-0", 1)
    world.clock.advance(1)
    assert not world.leases["a"].slots.holds("city-0", 1)
    await world.until(lambda: not world.hosts["a"].running)
    assert world.hosts["a"].dropped == [("city-0", 1, "the lease ran out")]


async def test_after_an_outage_each_shard_gets_its_own_back() -> None:
    """The first that hears of the store again finds all others dead, and waits a moment before it takes theirs."""
    world = World(cities=12)
    for name in "abc":
        await world.start(name)
    world.clock.advance(int(START_GAP_S * 1000) + 1)
    await world.until(lambda: sum(len(host.running) for host in world.hosts.values()) == 12)
    before = {name: set(host.running) for name, host in world.hosts.items()}
    assert all(before.values())
    world.store.away = True
    world.clock.advance(20_000)
    await world.until(lambda: not any(host.running for host in world.hosts.values()))
    world.store.away = False
    for name in "abc":
        world.clock.advance(300)
        beaten_ms = world.clock.monotonic_s() * 1000
        while world.store._shards[name].heartbeat_ms < beaten_ms:
            world.leases[name]._poke.set()
            await asyncio.sleep(0)
    world.clock.advance(int(START_GAP_S * 1000))
    await world.until(lambda: sum(len(host.running) for host in world.hosts.values()) == 12)
    assert {name: set(host.running) for name, host in world.hosts.items()} == before
    await world.end()


async def test_the_other_shard_takes_over_when_one_dies(world: World) -> None:
    """After the dead shard's lease its cities are owned by the living one, an epoch later."""
    await world.start_two()
    world.tasks["a"].cancel()
    await asyncio.gather(world.tasks["a"], return_exceptions=True)
    orphan = next(iter(world.hosts["a"].running))
    await world.lease_of_the_other_ends("b")
    await world.until(lambda: world.hosts["b"].running.get(orphan) == 2)


async def test_a_move_goes_over_in_order(world: World) -> None:
    """The owner drops and releases, then the target takes the city in the next epoch."""
    city = await world.start_two()
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert world.hosts["a"].running == {}
    assert world.hosts["a"].dropped == [(city, 1, "it moved")]


@pytest.fixture
async def moving(world: World) -> tuple[World, str]:
    """Two shards with a city each; that of a is on its way to b, which follows it and is not warm yet."""
    city = await world.start_two()
    world.hosts["b"].may_warm.clear()
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: city in world.hosts["b"].shadows)
    return world, city


async def test_the_owner_goes_on_until_the_shadow_is_warm(moving: tuple[World, str]) -> None:
    """Then it settles, releases, and the target takes the city; the move tells how long nobody decided."""
    world, city = moving
    assert world.leases["a"].slots.holds(city, 1)
    assert world.hosts["a"].settled == []
    world.hosts["b"].may_warm.set()
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert world.hosts["a"].settled == [city]
    await world.until(lambda: world.store._moves[1].gap_ms is not None)
    move = await world.last_move()
    assert (move.state, move.from_shard, move.to_shard, move.gap_ms) == (MoveState.DONE, "a", "b", 250.0)


async def test_a_target_that_dies_leaves_the_city_where_it_is(moving: tuple[World, str]) -> None:
    """The owner never stopped; the move failed and says why."""
    world, city = moving
    world.tasks["b"].cancel()
    await world.lease_of_the_other_ends("a")
    await world.until(lambda: not world.store._moves[1].under_way)
    move = await world.last_move()
    assert (move.state, move.reason) == (MoveState.FAILED, "b died")
    assert world.leases["a"].slots.holds(city, 1)


async def test_an_owner_that_dies_is_followed_by_the_target(moving: tuple[World, str]) -> None:
    """An ordinary failover, to the shard that has a shadow of the city."""
    world, city = moving
    world.tasks["a"].cancel()
    await world.lease_of_the_other_ends("b")
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    move = await world.last_move()
    assert (move.state, move.reason) == (MoveState.DONE, "the owner died")


async def test_a_shadow_that_still_loads_ends_before_the_city_is_taken(moving: tuple[World, str]) -> None:
    """Or it would come to be when the city runs, and nobody would end it."""
    world, city = moving
    await world.kill("a")
    await world.lease_of_the_other_ends("b")
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert world.hosts["b"].loading_at_take == []


async def test_an_owner_that_starts_anew_in_a_move_gives_the_city_to_its_target(moving: tuple[World, str]) -> None:
    """Its city is reserved for the target, and nobody may claim it while the owner lives: so it must let it go."""
    world, city = moving
    await world.kill("a")
    world.clock.advance(2000)
    await world.renewed("b")
    await world.start("a")
    assert world.store._living("a")
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    move = await world.last_move()
    assert (move.state, move.gap_ms) == (MoveState.DONE, None)
    assert city not in world.hosts["a"].running


async def test_a_hand_over_that_was_not_heard_is_told_again(moving: tuple[World, str]) -> None:
    """The owner has ended its last tick by then: it lets the city go with a later beat."""
    world, city = moving
    world.store.deaf = 2
    world.hosts["b"].may_warm.set()
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert (await world.last_move()).state is MoveState.DONE


async def test_a_shadow_that_hangs_ends_its_move(moving: tuple[World, str]) -> None:
    """After `WARM_S`; the owner never stopped."""
    world, city = moving
    for _ in range(int(WARM_S) + 1):
        world.clock.advance(1000)
        beaten_ms = world.clock.monotonic_s() * 1000
        await world.until(
            lambda at=beaten_ms: all(s.heartbeat_ms == at for s in world.store._shards.values())  # type: ignore[misc]
        )
    await world.until(lambda: not world.store._moves[1].under_way)
    assert "not warm within 120 s" in (await world.last_move()).reason
    assert world.leases["a"].slots.holds(city, 1)
    await world.until(lambda: not world.hosts["b"].shadows)


async def test_a_target_that_cannot_follow_says_so(world: World) -> None:
    """The move fails, and the owner never stopped."""
    city = await world.start_two()
    world.hosts["b"].blind = True
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: not world.store._moves[1].under_way)
    assert "a log nobody understands" in (await world.last_move()).reason
    assert world.leases["a"].slots.holds(city, 1)


async def test_a_shadow_ends_with_its_move(moving: tuple[World, str]) -> None:
    """Called off, the target forgets what it followed."""
    world, _ = moving
    assert await world.store.fail_move(1, "called off", "ops")
    await world.until(lambda: not world.hosts["b"].shadows)


async def test_a_drained_shard_takes_nothing(small_world: World) -> None:
    """Even alone, and even what was its own before it started anew."""
    world = small_world
    await world.start("a")
    await world.store.set_draining("a", True, "ops")
    world.clock.advance(2000)
    await world.renewed("a")
    assert world.hosts["a"].running == {}
    await world.store.set_draining("a", False, "ops")
    await world.until(lambda: world.hosts["a"].running == {"city-0": 1})


async def test_a_city_whose_part_failed_is_taken_again(small_world: World) -> None:
    """In the same epoch, after a pause, whatever stands in the way the first times."""
    world = small_world
    host = await world.start_one()
    host.refuse, host.broken = 1, True
    host.failed["city-0"].set()
    slot = world.leases["a"].slots.of["city-0"]
    await world.until(lambda: not host.running and not slot.busy)
    assert (slot.state, slot.failures) == (SlotState.RELOADING, 1)
    assert world.leases["a"].slots.holds("city-0", 1)
    world.clock.advance(200)
    await world.until(lambda: slot.failures == 2 and not slot.busy)
    host.broken = False
    world.clock.advance(400)
    await world.until(lambda: host.refuse == 0 and not slot.busy)
    assert slot.failures == 2
    world.clock.advance(400)
    await world.until(lambda: host.running == {"city-0": 1})
    assert slot.state is SlotState.RUNNING


async def test_a_city_that_fails_again_and_again_is_left_to_others_for_a_while(small_world: World) -> None:
    """Released after so many failures without a sound run, and shunned here."""
    world = small_world
    host = await world.start_one()
    host.broken = True
    host.failed["city-0"].set()
    for _ in range(FAILURES + 1):
        await world.until(lambda: not world.leases["a"].slots.of["city-0"].busy)
        world.clock.advance(2600)
        await world.renewed("a")
    await world.until(lambda: world.store._cities["city-0"].owner is None)
    assert not world.leases["a"].slots.holds("city-0", 1)
    assert host.dropped[-1] == ("city-0", 1, "it failed more than 5 times in a row")
    host.broken = False
    assert world.leases["a"].slots.of["city-0"].state is SlotState.SHUNNED
    for _ in range(5):
        assert host.running == {}
        world.clock.advance(int(SHUN_S * 200) + 1)
        await world.renewed("a")
    await world.until(lambda: host.running == {"city-0": 2})


async def test_a_city_that_could_not_be_taken_is_claimed_again_after_growing_pauses(small_world: World) -> None:
    """A take that fails for now releases the city; it is claimed again in a later epoch, each time after longer."""
    world = small_world
    await world.start("a")
    host = world.hosts["a"]
    host.refuse = 2
    await world.renewed("a")
    slot = world.leases["a"].slots.of["city-0"]
    world.clock.advance(2000)
    for failures in (1, 2):
        await world.until(lambda n=failures: (slot.not_taken, slot.state) == (n, SlotState.IDLE))  # type: ignore[misc]
        world.clock.advance(round(1000 * TAKE_PAUSE_S[0] * 2 ** (failures - 1)) - 1)
        await world.renewed("a")
        city = (await world.store.read_map()).cities["city-0"]
        assert (city.owner, city.epoch, host.running) == (None, failures, {})
        world.clock.advance(2)
    await world.until(lambda: host.running == {"city-0": 3})
    assert slot.not_taken == 0


async def test_the_next_in_line_has_its_turn_when_the_first_could_not_take(small_world: World) -> None:
    """As soon as after any release: the pause of one shard delays no other."""
    world = small_world
    await world.start("a")
    await world.start("b")
    world.hosts["a"].refuse = 1
    world.clock.advance(int(START_GAP_S * 1000) + 1)
    released_s = world.clock.monotonic_s()
    await world.until(lambda: world.leases["b"].slots.of["city-0"].orphan == (1, released_s))
    world.clock.advance(int(PATIENCE_S * 1000))
    await world.until(lambda: world.hosts["b"].running == {"city-0": 2})
    assert world.hosts["a"].running == {}


async def test_an_end_once_begun_is_finished_though_the_lease_runs_out(small_world: World) -> None:
    """A part failed and what is left takes long to end: a city lost meanwhile must not run on for ever."""
    world = small_world
    host = await world.start_one()
    slot = world.leases["a"].slots.of["city-0"]
    host.may_end.clear()
    host.failed["city-0"].set()
    await world.until(lambda: host.ending == {"city-0"})
    world.store.away = True
    world.clock.advance(int(LEASE_S * 1000))
    await world.until(lambda: slot.state is SlotState.DROPPING)
    host.may_end.set()
    await world.until(lambda: slot.state is SlotState.IDLE)
    assert host.dropped == [("city-0", 1, "a part of it failed"), ("city-0", 1, "the lease ran out")]


async def test_a_hand_over_once_begun_is_finished_though_the_lease_runs_out(moving: tuple[World, str]) -> None:
    """The final cut is stored whole; the city ends after it."""
    world, city = moving
    host, slot = world.hosts["a"], world.leases["a"].slots.of[city]
    host.may_end.clear()
    world.hosts["b"].may_warm.set()
    await world.until(lambda: host.ending == {city})
    world.store.away = True
    world.clock.advance(int(LEASE_S * 1000))
    await world.until(lambda: slot.state is SlotState.DROPPING)
    host.may_end.set()
    await world.until(lambda: slot.state is SlotState.IDLE)
    assert (host.settled, host.dropped) == ([city], [(city, 1, "the lease ran out")])


async def test_a_shard_that_cannot_run_a_city_leaves_it_to_others(small_world: World) -> None:
    """A take that fails for good on one shard gives the city to another; alone, the shard tries again after a while."""
    world = small_world
    await world.start("a")
    world.hosts["a"].broken = True
    world.clock.advance(2000)
    await world.until(lambda: world.store._cities["city-0"].epoch == 1 and world.store._cities["city-0"].owner is None)
    await world.start("b")
    world.clock.advance(2500)
    world.leases["a"]._poke.set()
    await world.until(lambda: world.hosts["b"].running == {"city-0": 2})
    assert world.hosts["a"].running == {}


async def test_a_clean_stop_releases_at_once(small_world: World) -> None:
    """A shard that stops lets its cities go without waiting for the lease."""
    world = small_world
    await world.start_one()
    world.tasks["a"].cancel()
    await world.leases["a"].close()
    assert (await world.store.read_map()).cities["city-0"].owner is None
    assert world.hosts["a"].dropped == [("city-0", 1, "the shard stops")]


async def test_a_stop_does_not_wait_for_ever_for_a_city_that_does_not_end(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is closed after the cities has its part of the deadline; the city goes with the process and the lease."""
    world = small_world
    host = await world.start_one()
    host.may_end.clear()
    world.tasks["a"].cancel()
    monkeypatch.setattr(executor, "CLOSE_S", 0.01)
    async with asyncio.timeout(10):
        with capture_logs() as logs:
            await world.leases["a"].close()
    assert [entry["tasks"] for entry in logs if entry["event"] == "cities left behind"] == [["lease:city-0"]]
    assert host.ending == {"city-0"}
    assert not world.leases["a"].slots.holds("city-0", 1)
    host.may_end.set()
    await world.until(lambda: bool(host.dropped))
