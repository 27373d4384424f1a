"""A shard's hold on its cities, on the memory store and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import structlog

from node.clock import ManualClock
from node.errors import Retryable
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots, SlotState
from shard_router.leases.timing import FAILURES, LEASE_S, MARGIN_S, SETTLE_S, SHUN_S, WARM_S
from shard_router.topology import CityEntry, CityMap, Move, MoveState, Ownership


class RecordingHost(CityHost):
    """A host that writes down what it was told."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.dropped: list[tuple[str, int, str]] = []
        self.refuse = 0
        self.broken = False
        self.settled: list[str] = []
        self.shadows: set[str] = set()
        self.may_warm = asyncio.Event()
        self.may_warm.set()
        self.blind = False
        #: Set for a city of which a part failed.
        self.failed: dict[str, asyncio.Event] = {}
        #: Cities whose shadow is loading, and what was loading when a city was taken.
        self.loading: set[str] = set()
        self.loading_at_take: list[str] = []

    async def take(self, ownership: Ownership) -> None:
        if self.broken:
            raise ValueError("a row nobody understands")
        if self.refuse:
            self.refuse -= 1
            raise Retryable("not now")
        self.loading_at_take += self.loading & {ownership.city}
        self.running[ownership.city] = ownership.epoch
        self.failed[ownership.city] = asyncio.Event()
        self.shadows.discard(ownership.city)

    async def failure(self, city: str, epoch: int) -> None:
        await self.failed[city].wait()

    async def settle(self, city: str, epoch: int) -> float:
        self.settled.append(city)
        return 0.25

    async def shadow(self, ownership: Ownership) -> None:
        if self.blind:
            raise ValueError("a log nobody understands")
        self.shadows.add(ownership.city)
        self.loading.add(ownership.city)
        try:
            await self.may_warm.wait()
        finally:
            self.loading.discard(ownership.city)

    async def unshadow(self, city: str) -> None:
        self.shadows.discard(city)

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        self.running.pop(city, None)
        self.dropped.append((city, epoch, reason))


class AwayStore(MemoryRouterStore):
    """A store that can be cut off, and that may not hear the next releases."""

    away = False
    deaf = 0

    async def beat(self, *args: object) -> CityMap:
        if self.away:
            raise Retryable("the store is away")
        return await super().beat(*args)  # type: ignore[arg-type]

    async def release(self, *args: object) -> None:
        if self.deaf:
            self.deaf -= 1
            raise Retryable("a lock was waited for too long")
        await super().release(*args)  # type: ignore[arg-type]


class World:
    """A store, a clock, and shards on them."""

    def __init__(self, cities: int = 2) -> None:
        self.clock = ManualClock(1_000_000)
        self.store = AwayStore(self.clock)
        self.entries = [CityEntry(f"city-{n}", f"City {n}", n, "UTC", "EUR", 0, 0) for n in range(cities)]
        self.hosts: dict[str, RecordingHost] = {}
        self.leases: dict[str, ShardLease] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str) -> None:
        """Starts a shard; waits for its first beat."""
        await self.store.ensure_cities(self.entries)
        self.hosts[name] = RecordingHost()
        log = structlog.get_logger()
        self.leases[name] = ShardLease(self.store, Member(name, f"{name}:1"), self.hosts[name], Slots(self.clock), log)
        self.tasks[name] = asyncio.create_task(self.leases[name].run())
        await self.until(lambda: name in self.store._shards)

    async def until(self, true: Callable[[], bool]) -> None:
        """Lets the shards run until something holds, beats being forced by changes of the map."""
        async with asyncio.timeout(10):
            while not true():
                for lease in self.leases.values():
                    lease._poke.set()
                await asyncio.sleep(0)

    async def renewed(self, name: str) -> None:
        """Lets the shards run until the lease of one has been renewed now."""
        slots, until_s = self.leases[name].slots, self.clock.monotonic_s() + LEASE_S - MARGIN_S
        await self.until(lambda: slots.lease_until_s == until_s)

    async def kill(self, name: str) -> None:
        """Ends a shard without a word."""
        working = [slot.task for slot in self.leases[name].slots.of.values() if slot.task is not None]
        for task in (self.tasks[name], *working):
            task.cancel()
        await asyncio.gather(self.tasks[name], *working, return_exceptions=True)
        del self.leases[name]

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


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
    await world.start("a")
    await world.start("b")
    world.clock.advance(int(SETTLE_S * 1000) + 1)
    await world.until(lambda: all(len(host.running) == 1 for host in world.hosts.values()))
    assert {*world.hosts["a"].running, *world.hosts["b"].running} == {"city-0", "city-1"}
    city, epoch = next(iter(world.hosts["a"].running.items()))
    assert epoch == 1
    assert world.leases["a"].slots.holds(city, 1)
    assert not world.leases["b"].slots.holds(city, 1)


async def test_a_shard_that_cannot_renew_stops_before_its_lease_ends(small_world: World) -> None:
    """Cut off from the store, it stops deciding a margin before anybody else may start, and drops its cities."""
    world = small_world
    await world.start("a")
    world.clock.advance(2000)
    await world.until(lambda: bool(world.hosts["a"].running))
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
    world.clock.advance(int(SETTLE_S * 1000) + 1)
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
    world.clock.advance(int(SETTLE_S * 1000))
    await world.until(lambda: sum(len(host.running) for host in world.hosts.values()) == 12)
    assert {name: set(host.running) for name, host in world.hosts.items()} == before
    await world.end()


async def test_the_other_shard_takes_over_when_one_dies(world: World) -> None:
    """After the dead shard's lease its cities are owned by the living one, an epoch later."""
    await world.start("a")
    await world.start("b")
    world.clock.advance(int(SETTLE_S * 1000) + 1)
    await world.until(lambda: all(len(host.running) == 1 for host in world.hosts.values()))
    world.tasks["a"].cancel()
    await asyncio.gather(world.tasks["a"], return_exceptions=True)
    orphan = next(iter(world.hosts["a"].running))
    for _ in range(5):
        world.clock.advance(800)
        beaten_ms = world.clock.monotonic_s() * 1000
        await world.until(lambda at=beaten_ms: world.store._shards["b"].heartbeat_ms == at)  # type: ignore[misc]
    await world.until(lambda: world.hosts["b"].running.get(orphan) == 2)


async def test_a_move_goes_over_in_order(world: World) -> None:
    """The owner drops and releases, then the target takes the city in the next epoch."""
    await world.start("a")
    await world.start("b")
    world.clock.advance(int(SETTLE_S * 1000) + 1)
    await world.until(lambda: all(len(host.running) == 1 for host in world.hosts.values()))
    city = next(iter(world.hosts["a"].running))
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert world.hosts["a"].running == {}
    assert world.hosts["a"].dropped == [(city, 1, "it moved")]


@pytest.fixture
async def moving(world: World) -> tuple[World, str]:
    """Two shards with a city each; that of a is on its way to b, which follows it and is not warm yet."""
    await world.start("a")
    await world.start("b")
    world.clock.advance(int(SETTLE_S * 1000) + 1)
    await world.until(lambda: all(len(host.running) == 1 for host in world.hosts.values()))
    city = next(iter(world.hosts["a"].running))
    world.hosts["b"].may_warm.clear()
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: city in world.hosts["b"].shadows)
    return world, city


async def last_move(world: World) -> Move:
    """The last move of all."""
    return (await world.store.moves(1))[0]


async def test_the_owner_goes_on_until_the_shadow_is_warm(moving: tuple[World, str]) -> None:
    """Then it settles, releases, and the target takes the city; the move tells how long nobody decided."""
    world, city = moving
    assert world.leases["a"].slots.holds(city, 1)
    assert world.hosts["a"].settled == []
    world.hosts["b"].may_warm.set()
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert world.hosts["a"].settled == [city]
    await world.until(lambda: world.store._moves[1].gap_ms is not None)
    move = await last_move(world)
    assert (move.state, move.from_shard, move.to_shard, move.gap_ms) == (MoveState.DONE, "a", "b", 250.0)


async def test_a_target_that_dies_leaves_the_city_where_it_is(moving: tuple[World, str]) -> None:
    """The owner never stopped; the move failed and says why."""
    world, city = moving
    world.tasks["b"].cancel()
    for _ in range(5):
        world.clock.advance(800)
        await world.until(
            lambda: world.leases["a"].slots.lease_until_s == world.clock.monotonic_s() + LEASE_S - MARGIN_S
        )
    await world.until(lambda: not world.store._moves[1].under_way)
    move = await last_move(world)
    assert (move.state, move.reason) == (MoveState.FAILED, "b died")
    assert world.leases["a"].slots.holds(city, 1)


async def test_an_owner_that_dies_is_followed_by_the_target(moving: tuple[World, str]) -> None:
    """An ordinary failover, to the shard that has a shadow of the city."""
    world, city = moving
    world.tasks["a"].cancel()
    for _ in range(5):
        world.clock.advance(800)
        await world.until(
            lambda: world.leases["b"].slots.lease_until_s == world.clock.monotonic_s() + LEASE_S - MARGIN_S
        )
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    move = await last_move(world)
    assert (move.state, move.reason) == (MoveState.DONE, "the owner died")


async def test_a_shadow_that_still_loads_ends_before_the_city_is_taken(moving: tuple[World, str]) -> None:
    """Or it would come to be when the city runs, and nobody would end it."""
    world, city = moving
    await world.kill("a")
    for _ in range(5):
        world.clock.advance(800)
        await world.until(
            lambda: world.leases["b"].slots.lease_until_s == world.clock.monotonic_s() + LEASE_S - MARGIN_S
        )
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
    move = await last_move(world)
    assert (move.state, move.gap_ms) == (MoveState.DONE, None)
    assert city not in world.hosts["a"].running


async def test_a_hand_over_that_was_not_heard_is_told_again(moving: tuple[World, str]) -> None:
    """The owner has ended its last tick by then: it lets the city go with a later beat."""
    world, city = moving
    world.store.deaf = 2
    world.hosts["b"].may_warm.set()
    await world.until(lambda: world.hosts["b"].running.get(city) == 2)
    assert (await last_move(world)).state is MoveState.DONE


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
    assert "not warm within 120 s" in (await last_move(world)).reason
    assert world.leases["a"].slots.holds(city, 1)
    await world.until(lambda: not world.hosts["b"].shadows)


async def test_a_target_that_cannot_follow_says_so(world: World) -> None:
    """The move fails, and the owner never stopped."""
    await world.start("a")
    await world.start("b")
    world.clock.advance(int(SETTLE_S * 1000) + 1)
    await world.until(lambda: all(len(host.running) == 1 for host in world.hosts.values()))
    city = next(iter(world.hosts["a"].running))
    world.hosts["b"].blind = True
    await world.store.request_move(city, "b", "ops")
    await world.until(lambda: not world.store._moves[1].under_way)
    assert "a log nobody understands" in (await last_move(world)).reason
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


async def running_alone(world: World) -> RecordingHost:
    """The host of shard a, alone, that runs the one city in epoch 1."""
    await world.start("a")
    world.clock.advance(2000)
    await world.until(lambda: world.hosts["a"].running == {"city-0": 1})
    return world.hosts["a"]


async def test_a_city_whose_part_failed_is_taken_again(small_world: World) -> None:
    """In the same epoch, after a pause, whatever stands in the way the first times."""
    world = small_world
    host = await running_alone(world)
    host.refuse, host.broken = 1, True
    host.failed["city-0"].set()
    slot = world.leases["a"].slots.of["city-0"]
    await world.until(lambda: not host.running and slot.task is None)
    assert (slot.state, slot.failures) == (SlotState.RELOADING, 1)
    assert world.leases["a"].slots.holds("city-0", 1)
    world.clock.advance(200)
    await world.until(lambda: slot.failures == 2 and slot.task is None)
    host.broken = False
    world.clock.advance(400)
    await world.until(lambda: host.refuse == 0 and slot.task is None)
    assert slot.failures == 2
    world.clock.advance(400)
    await world.until(lambda: host.running == {"city-0": 1})
    assert slot.state is SlotState.RUNNING


async def test_a_city_that_fails_again_and_again_is_left_to_others_for_a_while(small_world: World) -> None:
    """Released after so many failures without a sound run, and shunned here."""
    world = small_world
    host = await running_alone(world)
    host.broken = True
    host.failed["city-0"].set()
    for _ in range(FAILURES + 1):
        await world.until(lambda: world.leases["a"].slots.of["city-0"].task is None)
        world.clock.advance(2600)
        await world.renewed("a")
    await world.until(lambda: world.store._cities["city-0"].owner is None)
    assert not world.leases["a"].slots.holds("city-0", 1)
    assert host.dropped[-1] == ("city-0", 1, "it failed 5 times in a row")
    host.broken = False
    assert world.leases["a"].slots.of["city-0"].state is SlotState.SHUNNED
    for _ in range(5):
        assert host.running == {}
        world.clock.advance(int(SHUN_S * 200) + 1)
        await world.renewed("a")
    await world.until(lambda: host.running == {"city-0": 2})


async def test_a_host_that_cannot_take_yet_gets_another_chance(small_world: World) -> None:
    """A take that fails for now releases the city; it is claimed again in a later epoch."""
    world = small_world
    await world.start("a")
    world.hosts["a"].refuse = 2
    world.clock.advance(2000)
    await world.until(lambda: world.hosts["a"].running == {"city-0": 3})


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
    await world.start("a")
    world.clock.advance(2000)
    await world.until(lambda: bool(world.hosts["a"].running))
    world.tasks["a"].cancel()
    await world.leases["a"].close()
    assert (await world.store.read_map()).cities["city-0"].owner is None
    assert world.hosts["a"].dropped == [("city-0", 1, "the shard stops")]
