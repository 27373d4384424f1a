"""The protocol of leases, claims and moves, explored: the real `ShardLease` on the memory store, in a world where
shards crash, freeze, wake up as zombies, and have clocks that run fast or slow.

What must hold whatever happens: in an epoch only one shard commits; what was committed tiles the city's log without gap
or overlap; no order is assigned twice. A zombie tries to commit whenever it likes: only the fence stands in its way.
A target follows a city as a shadow for as long as its move takes, reads ahead of the owner and looks at what the owner
committed when it likes; what it believes of the city when it takes it is what its first tick decides by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

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
from shard_router.errors import MoveRefused, NotHeld, ShardTaken
from shard_router.leases import CityHost, Ownership, ShardLease
from shard_router.topology import CityEntry

CITIES = ("roma", "oslo", "lima")
SHARDS = ("a", "b", "c")
#: Monotonic clocks of machines drift by far less; the margin of the lease must cover it.
DRIFTS = {"a": 1.0, "b": 1.02, "c": 0.98}
QUIET = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))
#: Postgres ends a transaction that idles this long (node.postgres.GUARDS).
IDLE_MS = 1000


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

    store: MemoryRouterStore
    logs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CITIES, 0))
    commits: dict[str, list[Commit]] = field(default_factory=lambda: {city: [] for city in CITIES})
    assigned: dict[tuple[str, int], int] = field(default_factory=dict)
    refused: int = 0

    def cut(self, city: str) -> int:
        """Where the city's next tick goes on."""
        return self.commits[city][-1].next if self.commits[city] else 0


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
        self.lease = ShardLease(database.store, name, f"{name}:1", self, own, QUIET)
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


class OwnershipMachine(RuleBasedStateMachine):
    """Three shards, three cities."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock(1_000_000)
        self.database = Database(MemoryRouterStore(self.clock))
        self.shards: dict[str, Shard] = {}

    @initialize()
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

    @rule(ms=st.sampled_from((50, 300, 800, 1700, 3100)))
    def time_passes(self, ms: int) -> None:
        """The wall moves on for everybody; transactions that idled too long are ended by the database."""
        self.clock.advance(ms)
        for shard in self.shards.values():
            if shard.transaction and self.clock.wall_ms() - shard.transaction.begun_ms >= IDLE_MS:
                self.end(shard)

    @rule(name=st.sampled_from(SHARDS))
    def beat(self, name: str) -> None:
        """A shard's heartbeat comes due; a frozen one misses it."""
        shard = self.shards.get(name)
        if shard and not shard.frozen:
            shard.lease._poke.set()
            self.spin()

    @rule()
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

    @rule(city=st.sampled_from(CITIES), many=st.integers(1, 5))
    def orders_come(self, city: str, many: int) -> None:
        """The log grows."""
        self.database.logs[city] += many

    @rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES), zombie=st.booleans())
    def begin_tick(self, name: str, city: str, zombie: bool) -> None:
        """A shard opens a tick's transaction for a city it runs; a zombie does so for one it ran once."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction:
            return
        for (known, epoch), memory in sorted(shard.cities.items()):
            may = zombie or (shard.lease.holds(city, epoch) and (city, epoch) not in shard.closing)
            if known != city or not may:
                continue
            fence = self.database.store.hold(city, name, epoch)
            try:
                fence.__enter__()
            except NotHeld:
                self.database.refused += 1
                continue
            memory.tail(self.database.logs[city])
            commit = Commit(name, epoch, memory.cut, memory.read)
            shard.transaction = Transaction(fence, city, commit, list(memory.heard), self.clock.wall_ms())
            return

    @rule(name=st.sampled_from(SHARDS))
    def commit_tick(self, name: str) -> None:
        """The transaction ends well: from now on it is the truth, and the shard's memory follows."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction is None:
            return
        city, commit, events = shard.transaction.city, shard.transaction.commit, shard.transaction.events
        self.end(shard)
        self.database.commits[city].append(commit)
        shard.cities[(city, commit.epoch)].forget(commit.next)
        for order in events:
            self.database.assigned[(city, order)] = self.database.assigned.get((city, order), 0) + 1

    @rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES), look=st.booleans())
    def shadow_follows(self, name: str, city: str, look: bool) -> None:
        """A shadow reads the log, and perhaps looks at what the owner committed."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or city not in shard.shadows:
            return
        shard.shadows[city].tail(self.database.logs[city])
        if look:
            shard.shadows[city].forget(self.database.cut(city))

    @rule(name=st.sampled_from(SHARDS), city=st.sampled_from(CITIES))
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

    @rule()
    def life_still_goes_on(self) -> None:
        """Twice as likely as the rest."""
        self.life_goes_on()

    @rule(name=st.sampled_from(SHARDS))
    def crash(self, name: str) -> None:
        """kill -9: the database ends its transaction, nobody is told."""
        shard = self.shards.pop(name, None)
        if shard is not None:
            if shard.transaction:
                self.end(shard)
            shard.task.cancel()
            self.spin()

    @precondition(lambda self: len(self.shards) < len(SHARDS))
    @rule(name=st.sampled_from(SHARDS))
    def restart(self, name: str) -> None:
        """A shard that was gone comes back with an empty memory."""
        if name not in self.shards:
            self.start(name)

    @rule(name=st.sampled_from(SHARDS))
    def freeze_or_thaw(self, name: str) -> None:
        """SIGSTOP, or SIGCONT: it goes on as if nothing had happened."""
        shard = self.shards.get(name)
        if shard is not None:
            shard.frozen = not shard.frozen

    @rule(city=st.sampled_from(CITIES), to=st.sampled_from(SHARDS))
    def ops_move(self, city: str, to: str) -> None:
        """Somebody asks for a move."""

        async def ask() -> None:
            try:
                await self.database.store.request_move(city, to, "ops")
            except (MoveRefused, Retryable):
                return

        self.spin(ask())

    @rule(name=st.sampled_from(SHARDS))
    def leave(self, name: str) -> None:
        """A clean stop: the shard lets its cities go."""
        shard = self.shards.get(name)
        if shard is None or shard.frozen or shard.transaction:
            return
        shard.task.cancel()
        self.spin(shard.lease.close())
        del self.shards[name]

    @invariant()
    def one_shard_an_epoch(self) -> None:
        """In an epoch only one shard commits."""
        for commits in self.database.commits.values():
            owner: dict[int, str] = {}
            for commit in commits:
                assert owner.setdefault(commit.epoch, commit.shard) == commit.shard

    @invariant()
    def commits_tile_the_log(self) -> None:
        """Each tick begins where the last one ended, and epochs only grow."""
        for commits in self.database.commits.values():
            for before, after in pairwise(commits):
                assert after.first == before.next
                assert after.epoch >= before.epoch

    @invariant()
    def every_order_once(self) -> None:
        """Nobody assigns an order that was assigned, and none that was passed over is left unassigned."""
        assert all(times == 1 for times in self.database.assigned.values())
        assert len(self.database.assigned) == sum(self.database.cut(city) for city in CITIES)

    @invariant()
    def leases_end_only_by_name(self) -> None:
        """A lease's loop ends only because another run has its name."""
        for shard in self.shards.values():
            if shard.task.done() and not shard.task.cancelled():
                assert isinstance(shard.task.exception(), ShardTaken)

    def teardown(self) -> None:
        async def stop() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.loop.run_until_complete(stop())
        self.loop.close()


def explore(examples: int, steps: int, number: int) -> None:
    """Runs `examples` random lives of up to `steps` steps each, from a printed seed."""
    print(f"seed {number}, {examples} examples of {steps} steps")
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(OwnershipMachine), settings=chosen)


def test_ownership_is_safe() -> None:
    """Thousands of random steps break no promise."""
    explore(40, 60, 20261123)


@pytest.mark.prove
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_ownership_is_safe_over_a_million_steps(number: int) -> None:
    """200,000 steps from each of five fixed seeds."""
    explore(1000, 200, number)
