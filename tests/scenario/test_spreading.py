"""Real leases in virtual time: shards come up at their own times, share the cities evenly, and take over from the dead.

Every call of the store takes its time; to take a city takes longer than the next in line waits.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from benchmarks.scale.virtual import VirtualClock, VirtualLoop, run_virtually
from node.errors import Retryable
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots
from shard_router.leases.timing import START_GAP_S, START_WAIT_S
from shard_router.plans.plan import balance, default_target
from shard_router.topology import CityEntry, CityMap, Ownership, ShardLoad
from tests.scenario.test_ownership import QUIET

#: A call of the store takes up to so long.
CALL_S = 0.05
TAKE_S = 1.0
#: From a kill until every city is decided for again.
FAILOVER_S = 5.0


class SlowStore(MemoryRouterStore):
    """The store as a busy database answers; it can be stopped."""

    rng: random.Random
    away = False

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        """As the store's."""
        await self._call()
        await super().enter(shard_id, address, incarnation, lease_s)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        """As the store's."""
        await self._call()
        return await super().beat(shard_id, incarnation, lease_s, load)

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """As the store's."""
        await self._call()
        return await super().claim(city, shard_id, seen_epoch)

    async def _call(self) -> None:
        if self.away:
            raise Retryable("nobody answers")
        await asyncio.sleep(self.rng.uniform(0.001, CALL_S))


class Host(CityHost):
    """Runs nothing; taking a city takes its time."""

    def __init__(self) -> None:
        self.cities: dict[str, int] = {}

    async def take(self, ownership: Ownership) -> None:
        """After a while."""
        await asyncio.sleep(TAKE_S)
        self.cities[ownership.city] = ownership.epoch

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """At once."""
        self.cities.pop(city, None)


@dataclass(slots=True)
class World:
    """A store, its cities, and shards by name."""

    loop: VirtualLoop
    store: SlowStore
    expected: int = 1
    shards: dict[str, tuple[ShardLease, Host, asyncio.Task[None]]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """A shard begins to enter."""
        host = Host()
        member = Member(name, f"{name}:1", self.expected)
        lease = ShardLease(self.store, member, host, Slots(VirtualClock(self.loop)), QUIET)
        self.shards[name] = lease, host, asyncio.create_task(lease.run())

    async def start_all(self, gaps_s: Sequence[float]) -> None:
        """One shard after each gap."""
        for number, gap_s in enumerate(gaps_s):
            await asyncio.sleep(gap_s)
            self.start(f"shard-{number}")

    def kill(self, name: str) -> None:
        """kill -9."""
        lease, _, task = self.shards.pop(name)
        for dying in (task, *lease._executor._tasks.values()):
            dying.cancel()

    def counts(self) -> list[int]:
        """How many cities each living shard runs."""
        return [len(host.cities) for _, host, _ in self.shards.values()]

    def owners(self) -> dict[str, str]:
        """Who runs each city."""
        return {city: name for name, (_, host, _) in self.shards.items() for city in host.cities}

    async def all_run(self, within_s: float) -> float:
        """Waits until every city runs; how long it took."""
        began_s = self.loop.time()
        async with asyncio.timeout(within_s):
            while sum(self.counts()) < len(self.store._cities):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return self.loop.time() - began_s


def simulate(number: int, cities: int, life: Callable[[World], Coroutine[Any, Any, None]], expected: int = 1) -> None:
    """One life of a world with so many cities."""
    loop = VirtualLoop()
    store = SlowStore(VirtualClock(loop))
    store.rng = random.Random(number)

    async def live() -> None:
        await store.ensure_cities([CityEntry(f"c{n}", f"C{n}", n, "UTC", "EUR", 0, 0) for n in range(cities)])
        await life(World(loop, store, expected))

    run_virtually(live(), loop)


@pytest.mark.parametrize("shards", [2, 3, 5])
@pytest.mark.parametrize("cities", range(2, 21))
def test_shards_that_start_within_the_settle_time_share_evenly(cities: int, shards: int) -> None:
    """Whatever the times between them: counts differ by one at most."""
    for number in range(12):
        rng = random.Random(1000 * cities + 100 * shards + number)
        gaps_s = [
            rng.choice((0.0, START_GAP_S - CALL_S - 0.01, rng.uniform(0, START_GAP_S - CALL_S))) for _ in range(shards)
        ]

        async def life(world: World, gaps_s: Sequence[float] = gaps_s) -> None:
            await world.start_all(gaps_s)
            await world.all_run(START_WAIT_S)
            assert max(world.counts()) - min(world.counts()) <= 1, (gaps_s, world.counts())

        simulate(number, cities, life)


@pytest.mark.parametrize("number", range(20))
def test_shards_expected_at_a_first_start_are_waited_for(number: int) -> None:
    """However far apart they come up, up to a limit."""
    rng = random.Random(number)
    cities = rng.randint(2, 20)

    async def life(world: World) -> None:
        await world.start_all([0.0, rng.uniform(START_GAP_S, START_WAIT_S - 0.2)])
        await world.all_run(START_WAIT_S)
        assert max(world.counts()) - min(world.counts()) <= 1

    simulate(number, cities, life, expected=2)


def test_nobody_is_waited_for_for_ever() -> None:
    """The expected shard never comes: after the limit the one that is there takes all."""

    async def life(world: World) -> None:
        world.start("shard-0")
        took_s = await world.all_run(2 * START_WAIT_S)
        assert START_WAIT_S <= took_s <= START_WAIT_S + TAKE_S + 1.0

    simulate(1, 2, life, expected=2)


@pytest.mark.parametrize("number", range(20))
def test_the_share_of_a_shard_that_died_before_it_claimed_goes_to_the_others(number: int) -> None:
    """It still has a lease when the cities are shared; the next in line does not wait for its end."""
    rng = random.Random(number)

    async def life(world: World) -> None:
        await world.start_all([0.0, rng.uniform(0, 1), rng.uniform(0, 0.4)])
        await asyncio.sleep(rng.uniform(0.3, 1.2))
        world.kill(f"shard-{rng.randrange(3)}")
        await world.all_run(START_GAP_S + 2.0 + TAKE_S)

    simulate(number, rng.randint(2, 20), life)


@pytest.mark.parametrize("number", range(20))
def test_a_failover_takes_five_seconds_at_most(number: int) -> None:
    """Also soon after the start, and while another shard joins."""
    rng = random.Random(number)

    async def life(world: World) -> None:
        await world.start_all([0.0, 0.3, 0.6])
        await world.all_run(START_WAIT_S)
        await asyncio.sleep(rng.uniform(0, 20))
        world.kill(f"shard-{rng.randrange(3)}")
        joining = asyncio.get_running_loop().call_later(rng.uniform(0, 4), world.start, "shard-9")
        assert await world.all_run(FAILOVER_S) <= FAILOVER_S
        joining.cancel()

    simulate(number, rng.randint(3, 20), life)


@pytest.mark.parametrize("number", range(10))
def test_after_an_outage_each_shard_gets_its_own_back(number: int) -> None:
    """All leases have run out; whoever hears of the store first does not take what is another's."""
    rng = random.Random(number)

    async def life(world: World) -> None:
        await world.start_all([0.0, 0.5, 0.5])
        await world.all_run(START_WAIT_S)
        before = world.owners()
        world.store.away = True
        await asyncio.sleep(rng.uniform(4, 20))
        assert world.owners() == {}
        world.store.away = False
        await world.all_run(FAILOVER_S)
        assert world.owners() == before

    simulate(number, rng.randint(3, 20), life)


def test_a_shard_that_joins_later_gets_its_share_by_a_plan_only() -> None:
    """It takes nothing by itself, however long it waits; the plan is half of the cities."""

    async def life(world: World) -> None:
        world.start("shard-0")
        await world.all_run(START_WAIT_S)
        world.start("shard-1")
        await asyncio.sleep(60)
        assert world.counts() == [6, 0]
        map_ = await world.store.read_map()
        steps = balance(map_, default_target(map_))
        for step in steps:
            await world.store.request_move(step.city, step.to_shard, "plan")
        await asyncio.sleep(10)
        assert world.counts() == [3, 3]

    simulate(1, 6, life)
