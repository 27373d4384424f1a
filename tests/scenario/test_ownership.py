"""The protocol of leases, claims and moves, explored: the real `ShardLease` on the memory store, in a world where
shards crash, freeze, wake up as zombies, and have clocks that run fast or slow.

What must hold whatever happens: in an epoch only one shard commits; what was committed tiles the city's log without gap
or overlap; no order is assigned twice. And at the end of every life, when all shards run again and nothing more
happens, every city soon has an owner that runs it. A zombie tries to commit whenever it likes: only the fence stands
in its way.
A target follows a city as a shadow for as long as its move takes, reads ahead of the owner and looks at what the owner
committed when it likes; what it believes of the city when it takes it is what its first tick decides by.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from node.clock import ManualClock
from node.errors import Retryable
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.errors import MoveRefused, ShardTaken
from shard_router.fence import OwnershipLost
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots
from shard_router.topology import CityEntry, CityMap, Ownership, ShardLoad

CITIES = ("roma", "oslo", "lima")
SHARDS = ("a", "b", "c")
#: Monotonic clocks of machines drift by far less; the margin of the lease must cover it.
DRIFTS = {"a": 1.0, "b": 1.02, "c": 0.98}
QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
#: Steps of a burst.
BURST = 40
#: Postgres ends a transaction that idles this long (node.postgres.GUARDS).
IDLE_MS = 1000
#: After so many calm rounds of 0.8 s every city must have an owner.
CALM_ROUNDS = 60


class FlakyStore(MemoryRouterStore):
    """The store as a shard meets it: the next `failing` calls are not heard."""

    failing = 0

    def _may_fail(self) -> None:
        if self.failing:
            self.failing -= 1
            raise Retryable("nobody answers")

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        """As the store's."""
        self._may_fail()
        return await super().beat(shard_id, incarnation, lease_s, load)

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """As the store's."""
        self._may_fail()
        return await super().claim(city, shard_id, seen_epoch)

    async def release(self, city: str, shard_id: str, epoch: int, idle_s: float | None = None) -> None:
        """As the store's."""
        self._may_fail()
        await super().release(city, shard_id, epoch, idle_s)


class DriftingClock(ManualClock):
    """A shard's own monotonic clock, running at its own rate beside the store's."""

    def __init__(self, base: ManualClock, rate: float) -> None:
        super().__init__()
        self._base = base
        self._rate = rate

    def monotonic_s(self) -> float:
        return self._base.monotonic_s() * self._rate


@dataclass(slots=True)
class Commit:
    """A tick in the database: who decided, in which epoch, over which stretch of the log."""

    shard: str
    epoch: int
    first: int
    next: int


@dataclass(slots=True)
class Database:
    """What is committed, and the logs of the cities (each event is an order that wants a rider)."""

    store: FlakyStore
    logs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CITIES, 0))
    commits: dict[str, list[Commit]] = field(default_factory=lambda: {city: [] for city in CITIES})
    assigned: set[tuple[str, int]] = field(default_factory=set)
    owner: dict[tuple[str, int], str] = field(default_factory=dict)
    refused: int = 0
    #: What must not be, as it happened.
    broken: list[str] = field(default_factory=list)

    def cut(self, city: str) -> int:
        """Where the city's next tick goes on."""
        return self.commits[city][-1].next if self.commits[city] else 0

    def commit(self, city: str, commit: Commit, events: Sequence[int]) -> None:
        """Makes a tick true, and notes what it breaks."""
        before = self.commits[city][-1] if self.commits[city] else Commit("", 0, 0, 0)
        if self.owner.setdefault((city, commit.epoch), commit.shard) != commit.shard:
            self.broken.append(f"two shards commit in epoch {commit.epoch} of {city}")
        if commit.first != before.next or commit.epoch < before.epoch:
            self.broken.append(f"{city}: {commit} after {before}")
        taken = {(city, event) for event in events}
        if len(taken) != len(events) or taken & self.assigned:
            self.broken.append(f"{city}: {commit} assigns an order twice")
        self.assigned |= taken
        self.commits[city].append(commit)
        if len(self.assigned) != sum(self.cut(name) for name in CITIES):
            self.broken.append(f"{city}: {commit} passes over an order")


@dataclass(slots=True)
class Memory:
    """What a shard believes of a city: where its next tick begins, and the events it has read since."""

    cut: int
    read: int
    heard: list[int] = field(default_factory=list)

    def tail(self, end: int) -> None:
        """Reads the log to its end."""
        self.heard += range(self.read, end)
        self.read = max(self.read, end)

    def forget(self, cut: int) -> None:
        """Drops what has been taken by whoever committed up to the cut."""
        self.heard = [event for event in self.heard if event >= cut]
        self.cut, self.read = cut, max(self.read, cut)


@dataclass(slots=True)
class Transaction:
    """A tick's transaction that has passed the fence and not ended."""

    fence: AbstractContextManager[None]
    city: str
    commit: Commit
    events: list[int]
    begun_ms: int


class Shard(CityHost):
    """A run of a shard: the real lease, and a host that keeps each city in memory, as a real one does."""

    def __init__(self, name: str, database: Database, clock: ManualClock) -> None:
        self.name = name
        self.database = database
        self.cities: dict[tuple[str, int], Memory] = {}
        self.shadows: dict[str, Memory] = {}
        self.closing: set[tuple[str, int]] = set()
        self.warm: dict[str, asyncio.Event] = {}
        self.ended = asyncio.Event()
        self.frozen = False
        self.transaction: Transaction | None = None
        own = DriftingClock(clock, DRIFTS[name])
        self.lease = ShardLease(database.store, Member(name, f"{name}:1"), self, Slots(own), QUIET)
        self.task = asyncio.get_running_loop().create_task(self.lease.run())

    async def take(self, ownership: Ownership) -> None:
        """Goes on from the shadow, or loads what the last owner committed."""
        city, cut = ownership.city, self.database.cut(ownership.city)
        memory = self.shadows.pop(city, None) or Memory(cut, cut)
        memory.tail(cut)
        memory.forget(cut)
        self.cities[(city, ownership.epoch)] = memory

    async def settle(self, city: str, epoch: int) -> float:
        """No further tick begins; the one under way ends first."""
        self.closing.add((city, epoch))
        while self.transaction is not None and self.transaction.city == city:
            self.ended.clear()
            await self.ended.wait()
        return 0.0

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Keeps its memory of the city: a zombie is a shard that has not noticed."""

    async def shadow(self, ownership: Ownership) -> None:
        """Loads, then follows; warm when the world says so."""
        city = ownership.city
        if city not in self.shadows:
            cut = self.database.cut(city)
            self.shadows[city] = Memory(cut, cut)
        self.warm[city] = asyncio.Event()
        await self.warm[city].wait()

    async def unshadow(self, city: str) -> None:
        """Forgets what it followed."""
        self.shadows.pop(city, None)


class World(RuleBasedStateMachine):
    """Three shards, three cities, and everything that can happen to them. Machines make rules of it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(1_000_000)
        self.database = Database(FlakyStore(self.clock))
        self.shards: dict[str, Shard] = {}

    def boot(self) -> None:
        """Three cities, and three shards that have just entered."""
        entries = [CityEntry(city, city, n, "UTC", "EUR", 0, 0) for n, city in enumerate(CITIES)]
        self.spin(self.database.store.ensure_cities(entries))
        for name in SHARDS:
            self.start(name)
        for _ in range(4):
            self.life_goes_on()

    def spin(self, work: Coroutine[Any, Any, None] | None = None) -> None:
        """Runs the loop until everybody waits."""

        async def go() -> None:
            if work is not None:
                await work
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(go())

    def start(self, name: str) -> None:
        """Starts a run of a shard."""

        async def go() -> None:
            self.shards[name] = Shard(name, self.database, self.clock)

        self.spin(go())

    def living(self) -> Iterator[Shard]:
        """Shards that run."""
        return (shard for shard in self.shards.values() if not shard.frozen)

    def time_passes(self, ms: int) -> None:
        """The wall moves on for everybody; transactions that idled too long are ended by the database."""
        self.clock.advance(ms)
        for shard in self.shards.values():
            if shard.transaction and self.clock.wall_ms() - shard.transaction.begun_ms >= IDLE_MS:
                self.end(shard)

    def beat(self, name: str) -> None:
        """A shard's heartbeat comes due; a frozen one misses it."""
        shard = self.shards.get(name)
        if shard and not shard.frozen:
            shard.lease._poke.set()
            self.spin()

    def life_goes_on(self) -> None:
        """Calm: a heartbeat's time passes, everybody beats and ticks the cities it holds."""
        self.time_passes(800)
        for shard in self.living():
            shard.lease._poke.set()
        self.spin()
        for shard in self.living():
            for event in shard.warm.values():
                event.set()
            for city in CITIES:
                self.begin_tick(shard.name, city, zombie=False)
                self.commit_tick(shard.name)

    def orders_come(self, city: str, many: int) -> None:
        """The log grows."""
        self.database.logs[city] += many

    def begin_tick(self, name: str, city: str, zombie: bool) -> None:
        """A shard opens a tick's transaction for a city it runs; a zombie does so for one it ran once."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction:
            return
        for (known, epoch), memory in sorted(shard.cities.items()):
            may = zombie or (shard.lease.slots.holds(city, epoch) and (city, epoch) not in shard.closing)
            if known != city or not may:
                continue
            fence = self.database.store.hold(city, name, epoch)
            try:
                fence.__enter__()
            except OwnershipLost:
                self.database.refused += 1
                continue
            memory.tail(self.database.logs[city])
            commit = Commit(name, epoch, memory.cut, memory.read)
            shard.transaction = Transaction(fence, city, commit, list(memory.heard), self.clock.wall_ms())
            return

    def commit_tick(self, name: str) -> None:
        """The transaction ends well: from now on it is the truth, and the shard's memory follows."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction is None:
            return
        city, commit, events = shard.transaction.city, shard.transaction.commit, shard.transaction.events
        self.end(shard)
        self.database.commit(city, commit, events)
        shard.cities[(city, commit.epoch)].forget(commit.next)

    def shadow_follows(self, name: str, city: str, look: bool) -> None:
        """A shadow reads the log, and perhaps looks at what the owner committed."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or city not in shard.shadows:
            return
        shard.shadows[city].tail(self.database.logs[city])
        if look:
            shard.shadows[city].forget(self.database.cut(city))

    def shadow_is_warm(self, name: str, city: str) -> None:
        """The target says so; the owner hears it with its next beat."""
        shard = self.shards.get(name)
        if shard is not None and not shard.frozen and city in shard.warm:
            shard.warm[city].set()
            self.spin()

    def end(self, shard: Shard) -> None:
        """The database ends a shard's transaction."""
        assert shard.transaction is not None
        shard.transaction.fence.__exit__(None, None, None)
        shard.transaction = None
        shard.ended.set()

    def crash(self, name: str) -> None:
        """kill -9: the database ends its transaction, nobody is told."""
        shard = self.shards.pop(name, None)
        if shard is not None:
            if shard.transaction:
                self.end(shard)
            for task in (shard.task, *shard.lease._executor._tasks.values()):
                task.cancel()
            self.spin()

    def restart(self, name: str) -> None:
        """A shard that was gone comes back with an empty memory."""
        if name not in self.shards:
            self.start(name)

    def freeze_or_thaw(self, name: str) -> None:
        """SIGSTOP, or SIGCONT: it goes on as if nothing had happened."""
        shard = self.shards.get(name)
        if shard is not None:
            shard.frozen = not shard.frozen

    def ops_move(self, city: str, to: str) -> None:
        """Somebody asks for a move."""

        async def ask() -> None:
            try:
                await self.database.store.request_move(city, to, "ops")
            except (MoveRefused, Retryable):
                return

        self.spin(ask())

    def leave(self, name: str) -> None:
        """A clean stop: the shard lets its cities go."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction:
            return
        shard.task.cancel()
        self.spin(shard.lease.close())
        del self.shards[name]

    def store_stutters(self, calls: int) -> None:
        """Some calls are not heard."""
        self.database.store.failing = calls

    def all_is_calm(self) -> None:
        """Everybody thaws, whoever ended is started again, and nothing more happens: every city gets its owner."""
        self.store_stutters(0)
        for _ in range(CALM_ROUNDS):
            for name in SHARDS:
                shard = self.shards.get(name)
                if shard is not None:
                    shard.frozen = False
                    if shard.task.done():
                        self.crash(name)
                self.restart(name)
            self.life_goes_on()
        for entry in self.database.store._cities.values():
            owner = self.shards[entry.owner] if entry.owner is not None else None
            assert owner is not None, f"nobody owns {entry}"
            assert owner.lease.slots.holds(entry.city, entry.epoch), f"{owner.name} owns and does not hold {entry}"
            assert (entry.city, entry.epoch) in owner.cities, f"{owner.name} holds and does not run {entry}"

    def nothing_is_broken(self) -> None:
        """In an epoch one shard commits; ticks tile the log; every order is assigned once."""
        assert self.database.broken == []

    def leases_end_only_by_name(self) -> None:
        """A lease's loop ends only because another run has its name."""
        for shard in self.shards.values():
            if shard.task.done() and not shard.task.cancelled():
                assert isinstance(shard.task.exception(), ShardTaken)

    def teardown(self) -> None:
        try:
            if self.shards and not self.database.broken:
                self.all_is_calm()
                self.nothing_is_broken()
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends every task of the world."""

        async def stop() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.loop.run_until_complete(stop())
        self.loop.close()


class OwnershipMachine(World):
    """Each step a rule, so that a failure shrinks to the few that matter."""

    boot_rule = initialize()(World.boot)
    time_passes_rule = rule(ms=st.sampled_from((50, 300, 800, 1700, 3100)))(World.time_passes)
    beat_rule = rule(name=st.sampled_from(SHARDS))(World.beat)
    life_goes_on_rule = rule()(World.life_goes_on)
    orders_come_rule = rule(city=st.sampled_from(CITIES), many=st.integers(1, 5))(World.orders_come)
    begin_tick_rule = rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES), zombie=st.booleans())(
        World.begin_tick
    )
    commit_tick_rule = rule(name=st.sampled_from(SHARDS))(World.commit_tick)
    shadow_follows_rule = rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES), look=st.booleans())(
        World.shadow_follows
    )
    shadow_is_warm_rule = rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES))(World.shadow_is_warm)
    calm_again_rule = rule()(World.life_goes_on)
    crash_rule = rule(name=st.sampled_from(SHARDS))(World.crash)
    restart_rule = precondition(lambda self: len(self.shards) < len(SHARDS))(
        rule(name=st.sampled_from(SHARDS))(World.restart)
    )
    freeze_or_thaw_rule = rule(name=st.sampled_from(SHARDS))(World.freeze_or_thaw)
    ops_move_rule = rule(city=st.sampled_from(CITIES), to=st.sampled_from(SHARDS))(World.ops_move)
    leave_rule = rule(name=st.sampled_from(SHARDS))(World.leave)
    store_stutters_rule = rule(calls=st.integers(1, 4))(World.store_stutters)
    nothing_is_broken_rule = invariant()(World.nothing_is_broken)
    leases_end_only_by_name_rule = invariant()(World.leases_end_only_by_name)


class StormMachine(World):
    """The same world in bursts of random steps: what hypothesis draws is a seed for each, so it costs little."""

    boot_rule = initialize()(World.boot)
    leases_end_only_by_name_rule = invariant()(World.leases_end_only_by_name)

    #: Steps of all lives so far.
    steps: ClassVar[int] = 0

    @rule(number=st.integers(0, 2**32 - 1))
    def burst(self, number: int) -> None:
        """`BURST` steps, each as likely as among the rules."""
        rng = random.Random(number)
        for _ in range(BURST):
            self.any_step(rng)
            assert self.database.broken == []

    def any_step(self, rng: random.Random) -> None:
        """One step of any kind."""
        StormMachine.steps += 1
        name, city = rng.choice(SHARDS), rng.choice(CITIES)
        steps: tuple[Callable[[], None], ...] = (
            lambda: self.time_passes(rng.choice((50, 300, 800, 1700, 3100))),
            lambda: self.beat(name),
            self.life_goes_on,
            self.life_goes_on,
            lambda: self.orders_come(city, rng.randint(1, 5)),
            lambda: self.begin_tick(name, city, zombie=rng.random() < 0.5),
            lambda: self.commit_tick(name),
            lambda: self.shadow_follows(name, city, look=rng.random() < 0.5),
            lambda: self.shadow_is_warm(name, city),
            lambda: self.crash(name),
            lambda: self.restart(name),
            lambda: self.freeze_or_thaw(name),
            lambda: self.ops_move(city, rng.choice(SHARDS)),
            lambda: self.leave(name),
            lambda: self.store_stutters(rng.randint(1, 4)),
        )
        rng.choice(steps)()


def explore(machine: type[World], examples: int, steps: int, number: int) -> None:
    """Runs `examples` random lives of up to `steps` rules each, from a printed seed."""
    print(f"seed {number}, {examples} examples of {steps} steps of {machine.__name__}")
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(machine), settings=chosen)


def test_ownership_is_safe() -> None:
    """Thousands of random steps break no promise, and after each life no city is left without an owner."""
    explore(OwnershipMachine, 40, 60, 20261123)
    explore(StormMachine, 25, 8, 20261123)


@pytest.mark.prove
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_ownership_is_safe_over_a_million_steps(number: int) -> None:
    """200,000 steps and more from each of five fixed seeds, counted."""
    before = StormMachine.steps
    while StormMachine.steps - before < 200_000:
        explore(StormMachine, 100, 10, 1000 * number + (StormMachine.steps - before) // 1000)
    print(f"{StormMachine.steps - before} steps")


class UnlockedStore(FlakyStore):
    """A store without the row lock: a claim does not wait for a decision under way."""

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """As if nobody decided."""
        under_way, self._shared = self._shared, Counter()
        try:
            return await super().claim(city, shard_id, seen_epoch)
        finally:
            self._shared = under_way


class UnfencedStore(FlakyStore):
    """A store without the fence: it takes whatever a shard decides."""

    @contextmanager
    def hold(self, city: str, shard_id: str, epoch: int) -> Iterator[None]:
        """Asks nothing."""
        yield


class ScriptedWorld(OwnershipMachine):
    """One life step by step: a city is taken over while its owner stands still in the middle of a transaction."""

    def __init__(self, store: type[FlakyStore]) -> None:
        super().__init__()
        self.database.store = store(self.clock)

    def takeover(self) -> None:
        """The owner opens a tick just before its lease ends and commits it after others had the time to take over."""
        self.boot()
        owner = next(name for name in SHARDS if self.shards[name].lease.slots.of["roma"].held is not None)
        self.orders_come("roma", 3)
        self.freeze_or_thaw(owner)
        for ms in (800, 800, 800):
            self.others_go_on(ms)
        self.freeze_or_thaw(owner)
        self.begin_tick(owner, "roma", zombie=True)
        self.freeze_or_thaw(owner)
        for ms in (300, 350, 150):
            self.others_go_on(ms)
        self.freeze_or_thaw(owner)
        self.commit_tick(owner)

    def others_go_on(self, ms: int) -> None:
        """Time passes; who is not frozen beats and ticks."""
        self.time_passes(ms)
        for shard in self.living():
            self.beat(shard.name)
            self.begin_tick(shard.name, "roma", zombie=False)
            self.commit_tick(shard.name)


@pytest.mark.parametrize(
    ("store", "safe"),
    [
        pytest.param(FlakyStore, True, id="as it is"),
        pytest.param(UnlockedStore, False, id="without the row lock"),
        pytest.param(UnfencedStore, False, id="without the fence"),
    ],
)
def test_the_fence_and_the_row_lock_are_what_keeps_it_safe(store: type[FlakyStore], safe: bool) -> None:
    """One without the other lets two epochs decide over the same stretch of the log."""
    world = ScriptedWorld(store)
    try:
        world.takeover()
        assert (world.database.broken == []) is safe
    finally:
        world.stop()
