"""`reconcile` and the slots alone, without a loop: whatever comes of its actions, each is legal in the state of its
slot, no two shards hold a city, and in the end no city is left without an owner.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.clock import ManualClock
from node.errors import Retryable
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.errors import MoveRefused, ShardTaken
from shard_router.leases.reconcile import (
    Action,
    Claim,
    Drop,
    FailMove,
    Follow,
    HandOver,
    Member,
    Release,
    Reload,
    TellWarm,
    Unfollow,
    reconcile,
)
from shard_router.leases.slots import Slot, Slots, SlotState
from shard_router.leases.timing import LEASE_S, MARGIN_S
from shard_router.topology import CityEntry, Ownership, ShardLoad

T = TypeVar("T")
CITIES, SHARDS = ("roma", "oslo", "lima"), ("a", "b", "c")
CALM_ROUNDS = 80


def answered(call: Coroutine[Any, Any, T]) -> T:
    """What a call of the memory store returns: it never waits."""
    try:
        call.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    raise AssertionError("the memory store waits")


class Outcome(StrEnum):
    """What may come of an action."""

    WELL = "well"
    NOT_NOW = "not now"
    NEVER = "never"


@dataclass(slots=True)
class Work:
    """What is being done about a city."""

    action: Action
    own: Ownership
    release: bool = False


@dataclass(slots=True)
class Shard:
    """One run of a shard: its slots, and what is being done about its cities."""

    name: str
    store: MemoryRouterStore
    clock: ManualClock
    slots: Slots
    incarnation: UUID = field(default_factory=uuid4)
    work: dict[str, Work] = field(default_factory=dict)

    def enter(self) -> None:
        """Takes its row."""
        answered(self.store.enter(self.name, "", self.incarnation, LEASE_S))
        self.slots.lease_until_s = self.clock.monotonic_s() + LEASE_S - MARGIN_S

    def beat(self, *, heard: bool) -> None:
        """A heartbeat, and the actions that follow; without an answer of the store, those that need none."""
        now_s, map_ = self.clock.monotonic_s(), None
        if heard:
            map_ = answered(self.store.beat(self.name, self.incarnation, LEASE_S, ShardLoad()))
            self.slots.lease_until_s = now_s + LEASE_S - MARGIN_S
            self.slots.observe(map_)
        for action in reconcile(map_, self.slots.of, now_s, self.slots.lease_until_s, Member(self.name, "")).actions:
            self.do(action, now_s)

    def do(self, action: Action, now_s: float) -> None:
        """As the executor does it."""
        of = self.slots.of
        match action:
            case Drop():
                of[action.city].drop(now_s, shun=action.shun)
                self.begin(of[action.city], action, release=action.release)
            case Unfollow():
                of[action.city].drop(now_s, refuse=action.refuse)
                self.begin(of[action.city], action)
            case HandOver():
                of[action.city].enter(SlotState.HANDING_OVER, now_s)
                self.begin(of[action.city], action)
            case Reload():
                self.begin(of[action.city], action)
            case Follow():
                of[action.ownership.city].follow(action.ownership, action.move_id, now_s)
                self.begin(of[action.ownership.city], action)
            case FailMove():
                answered(self.store.fail_move(action.move_id, action.reason, self.name))
            case TellWarm():
                answered(self.store.warm(action.city, self.name, action.move_id))
            case Release():
                answered(self.store.release(action.ownership.city, self.name, action.ownership.epoch))
            case Claim():
                epoch = answered(self.store.claim(action.city, self.name, action.seen_epoch))
                if epoch is not None:
                    of[action.city].claimed(Ownership(action.city, action.partition, epoch), now_s)
                    self.begin(of[action.city], action)

    def begin(self, slot: Slot, action: Action, *, release: bool = False) -> None:
        """Something is being done about the city from now on, and nothing else."""
        assert slot.ownership is not None
        slot.busy, self.work[slot.city] = True, Work(action, slot.ownership, release)

    def end(self, city: str, outcome: Outcome) -> None:
        """What was being done about a city comes to its end."""
        work, now_s = self.work.pop(city, None), self.clock.monotonic_s()
        if work is None:
            return
        slot = self.slots.of[city]
        slot.busy = False
        match work.action:
            case Claim() if outcome is Outcome.WELL:
                slot.taken(now_s)
            case Claim():
                slot.take_failed(now_s, for_good=outcome is Outcome.NEVER)
                self.begin(slot, Drop(city, "not taken"), release=True)
            case Reload() if outcome is Outcome.WELL:
                slot.taken(now_s)
            case Reload():
                slot.reload_failed(now_s, for_good=outcome is Outcome.NEVER)
            case Follow() if outcome is Outcome.WELL:
                slot.enter(SlotState.WARM, now_s)
            case Follow():
                slot.follow_failed("no", now_s, for_good=outcome is Outcome.NEVER)
            case HandOver():
                slot.drop(now_s)
                answered(self.store.release(city, self.name, work.own.epoch))
                self.begin(slot, Drop(city, "it moved"))
            case Drop() | Unfollow():
                if work.release and outcome is Outcome.WELL:  # else it was not heard
                    answered(self.store.release(city, self.name, work.own.epoch))
                slot.dropped(now_s)

    def part_fails(self, city: str) -> None:
        """A part of a running city fails."""
        slot = self.slots.of.get(city)
        if slot is not None and slot.state is SlotState.RUNNING:
            slot.failed(self.clock.monotonic_s())


class World:
    """Shards, cities, and a store whose calls never wait."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000_000)
        self.store = MemoryRouterStore(self.clock)
        entries = [CityEntry(city, city, n, "UTC", "EUR", 0, 0) for n, city in enumerate(CITIES)]
        answered(self.store.ensure_cities(entries))
        self.shards: dict[str, Shard] = {}

    def start(self, name: str) -> None:
        """A new run; refused while the old one's heartbeat is fresh."""
        shard = Shard(name, self.store, self.clock, Slots(self.clock))
        try:
            shard.enter()
        except ShardTaken:
            return
        self.shards[name] = shard

    def step(self, kind: str, name: str, city: str, outcome: Outcome) -> None:
        """One thing happens."""
        shard = self.shards.get(name)
        if shard is None:
            self.start(name)
        elif kind == "beat":
            shard.beat(heard=outcome is not Outcome.NEVER)
        elif kind == "end":
            shard.end(city, outcome)
        elif kind == "fail":
            shard.part_fails(city)
        elif kind == "crash":
            del self.shards[name]
        elif kind == "move":
            try:
                answered(self.store.request_move(city, name, "ops"))
            except (MoveRefused, Retryable):
                return
        else:
            self.clock.advance({Outcome.WELL: 100, Outcome.NOT_NOW: 700, Outcome.NEVER: 3_100}[outcome])

    def check(self) -> None:
        """No two shards hold a city, in whatever epochs."""
        for city, entry in self.store._cities.items():
            holding = [
                shard.name
                for shard in self.shards.values()
                if any(shard.slots.holds(city, epoch) for epoch in range(entry.epoch + 1))
            ]
            assert len(holding) <= 1, (city, holding)

    def calm(self) -> None:
        """All shards run, and what they do goes well: each city is run by its owner."""
        for _ in range(CALM_ROUNDS):
            self.clock.advance(500)
            for name in SHARDS:
                if name not in self.shards:
                    self.start(name)
                else:
                    self.shards[name].beat(heard=True)
                    for city in CITIES:
                        self.shards[name].end(city, Outcome.WELL)
                self.check()
            if not self.not_running():
                return
        raise AssertionError(f"nobody runs {self.not_running()}")

    def not_running(self) -> list[CityEntry]:
        """Cities that their owners by the map do not run, or that have none."""
        return [entry for entry in self.store._cities.values() if not self.runs(entry)]

    def runs(self, entry: CityEntry) -> bool:
        """Whether the owner by the map runs the city in its epoch."""
        owner = self.shards.get(entry.owner or "")
        slot = owner.slots.of.get(entry.city) if owner is not None else None
        own = Ownership(entry.city, entry.partition, entry.epoch)
        return slot is not None and (slot.state, slot.ownership) == (SlotState.RUNNING, own)


STEPS = st.tuples(
    st.sampled_from(("beat", "beat", "beat", "end", "end", "time", "time", "move", "fail", "crash")),
    st.sampled_from(SHARDS),
    st.sampled_from(CITIES),
    st.sampled_from(Outcome),
)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=30, max_size=150))
def test_whatever_comes_of_its_actions(steps: list[tuple[str, str, str, Outcome]]) -> None:
    """Random outcomes at random times, then calm."""
    world = World()
    for name in SHARDS:
        world.start(name)
    for step in steps:
        world.step(*step)
        world.check()
    world.calm()
