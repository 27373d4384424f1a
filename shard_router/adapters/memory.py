"""The map and the leases in memory, on a given clock; for tests and for simulations of thousands of cities."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from node.clock import Clock
from node.errors import Retryable
from shard_router.errors import ShardTaken, UnknownShard
from shard_router.fence import OwnershipLost
from shard_router.plans.move_checks import check_move
from shard_router.plans.plan import Plan, PlanState, Step, StepState, check_plan
from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry, ShardLoad

#: A run that has not beaten for this long may be pushed aside by a new one (as in router.enter).
STILL_BEATS_MS = 1600


@dataclass(slots=True)
class _Row:
    address: str
    incarnation: UUID
    heartbeat_ms: float
    lease_until_ms: float
    up_since_ms: float
    known_since_ms: float
    load: ShardLoad = field(default_factory=ShardLoad)
    draining: bool = False


class MemoryRouterStore:
    """`RouterStore` and `PlanStore` in one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cities: dict[str, CityEntry] = {}
        self._shards: dict[str, _Row] = {}
        self._version = 0
        self._listeners: set[asyncio.Queue[str]] = set()
        self._shared: Counter[str] = Counter()
        #: By id, in their order; the last commit of the old owner beside.
        self._moves: dict[int, Move] = {}
        self._last_commit_ms: dict[int, float] = {}
        self._plans: dict[int, Plan] = {}

    async def ensure_cities(self, cities: Sequence[CityEntry]) -> None:
        for city in cities:
            known = self._cities.get(city.city)
            if known is None:
                self._change(city)
            else:
                self._cities[city.city] = replace(
                    known,
                    name=city.name,
                    time_zone=city.time_zone,
                    currency=city.currency,
                    center_lat_e7=city.center_lat_e7,
                    center_lng_e7=city.center_lng_e7,
                )

    async def read_map(self) -> CityMap:
        shards = {name: self._shard(name, row) for name, row in self._shards.items()}
        cities = {name: self._entry(city) for name, city in self._cities.items()}
        return CityMap(self._version, cities, shards)

    def _entry(self, city: CityEntry) -> CityEntry:
        owner = self._shards.get(city.owner or "")
        if owner is None and city.move is None:
            return replace(city, address="")
        target = self._shards.get(city.moving_to or "")
        return replace(
            city,
            address=owner.address if owner is not None else "",
            load=owner.load.cities.get(city.city, CityLoad()) if owner is not None else CityLoad(),
            behind=target.load.shadows.get(city.city) if target is not None else None,
        )

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        now_ms = self._now_ms()
        row = self._shards.get(shard_id)
        if row and row.incarnation != incarnation and row.heartbeat_ms >= now_ms - STILL_BEATS_MS:
            raise ShardTaken(f"another process is running as shard {shard_id}")
        known_ms, draining = (row.known_since_ms, row.draining) if row is not None else (now_ms, False)
        until_ms = now_ms + lease_s * 1000
        self._shards[shard_id] = _Row(address, incarnation, now_ms, until_ms, now_ms, known_ms, draining=draining)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        row = self._shards.get(shard_id)
        if row is None or row.incarnation != incarnation:
            raise ShardTaken(f"another process is running as shard {shard_id}")
        row.heartbeat_ms = self._now_ms()
        if row.lease_until_ms <= row.heartbeat_ms:
            row.up_since_ms = row.heartbeat_ms
        row.lease_until_ms = row.heartbeat_ms + lease_s * 1000
        row.load = load
        return await self.read_map()

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        entry = self._cities.get(city)
        if entry is None or entry.epoch != seen_epoch:
            return None
        if self._shared[city]:
            raise Retryable(f"a decision for {city} is under way", reason="POSTGRES_ERROR")
        if any(other not in (None, shard_id) and self._living(other) for other in (entry.owner, entry.moving_to)):
            return None
        if entry.move is not None:
            self._end_move(entry.move, *_ending(entry.move, shard_id))
        self._change(replace(entry, owner=shard_id, epoch=entry.epoch + 1, moving_to=None, move=None))
        return entry.epoch + 1

    async def release(self, city: str, shard_id: str, epoch: int, idle_s: float | None = None) -> None:
        entry = self._cities[city]
        if entry.owner == shard_id and entry.epoch == epoch:
            move = entry.move
            if move is not None:
                move = replace(move, state=MoveState.RELEASED, released_ms=int(self._now_ms()))
                self._moves[move.move_id] = move
                if idle_s is not None:
                    self._last_commit_ms[move.move_id] = self._now_ms() - idle_s * 1000
            self._change(replace(entry, owner=None, move=move))

    async def request_move(self, city: str, to_shard: str, actor: str) -> CityEntry:
        entry = check_move(await self.read_map(), city, to_shard)
        if entry.moving_to == to_shard:
            return entry
        if entry.move is not None:
            self._end_move(entry.move, MoveState.FAILED, f"{entry.moving_to} died")
        number = len(self._moves) + 1
        now_ms = int(self._now_ms())
        move = Move(number, city, entry.owner, to_shard, entry.epoch, actor, MoveState.SHADOWING, now_ms)
        self._moves[number] = move
        self._change(replace(self._cities[city], moving_to=to_shard, move=move))
        return self._entry(self._cities[city])

    async def warm(self, city: str, shard_id: str, move_id: int) -> None:
        entry = self._cities[city]
        move = entry.move
        if move is None or (move.move_id, move.to_shard, move.state) != (move_id, shard_id, MoveState.SHADOWING):
            return
        self._moves[move_id] = move = replace(move, state=MoveState.WARM, warm_ms=int(self._now_ms()))
        self._change(replace(entry, move=move))

    async def fail_move(self, move_id: int, reason: str, actor: str) -> bool:
        move = self._moves[move_id]
        if not move.under_way or (move.state is MoveState.RELEASED and self._living(move.to_shard)):
            return False
        self._end_move(move, MoveState.FAILED, reason)
        self._change(replace(self._cities[move.city], moving_to=None, move=None))
        return True

    async def first_tick(self, city: str, shard_id: str, epoch: int) -> None:
        for number, move in self._moves.items():
            mine = (move.city, move.to_shard, move.epoch + 1, move.state) == (city, shard_id, epoch, MoveState.DONE)
            if mine and move.gap_ms is None and number in self._last_commit_ms:
                self._moves[number] = replace(move, gap_ms=self._now_ms() - self._last_commit_ms[number])

    async def moves(self, limit: int) -> Sequence[Move]:
        return list(self._moves.values())[::-1][:limit]

    def _end_move(self, move: Move, state: MoveState, reason: str) -> None:
        self._moves[move.move_id] = replace(move, state=state, reason=reason, ended_ms=int(self._now_ms()))

    async def set_draining(self, shard_id: str, draining: bool, actor: str) -> None:
        if shard_id not in self._shards:
            raise UnknownShard(shard_id, self._shards)
        self._shards[shard_id].draining = draining
        coming = [city.move for city in self._cities.values() if city.move is not None and city.moving_to == shard_id]
        for move in coming if draining else ():
            if move.state is not MoveState.RELEASED:
                await self.fail_move(move.move_id, f"{shard_id} is being drained", actor)

    async def save_plan(self, steps: Sequence[Step], drains: str | None, actor: str) -> Plan:
        plan = Plan(len(self._plans) + 1, PlanState.PROPOSED, tuple(steps), drains, actor)
        self._plans[plan.plan_id] = plan
        return plan

    async def plan(self, plan_id: int | None) -> Plan | None:
        return self._plans.get(plan_id if plan_id is not None else len(self._plans))

    async def running_plan(self) -> Plan | None:
        return next((plan for plan in self._plans.values() if plan.state is PlanState.RUNNING), None)

    async def set_plan(self, plan_id: int, state: PlanState, reason: str = "") -> Plan:
        plan, running = self._plans.get(plan_id), await self.running_plan()
        check_plan(plan, plan_id, state, running)
        assert plan is not None
        steps = plan.steps
        if state is PlanState.RUNNING:
            again = (StepState.FAILED, StepState.SKIPPED)
            steps = tuple(replace(s, state=StepState.WAITING, reason="") if s.state in again else s for s in steps)
        self._plans[plan_id] = replace(plan, state=state, reason=reason, steps=steps)
        return self._plans[plan_id]

    async def set_step(self, plan_id: int, number: int, step: Step) -> None:
        plan = self._plans[plan_id]
        self._plans[plan_id] = replace(plan, steps=(*plan.steps[:number], step, *plan.steps[number + 1 :]))

    async def add_steps(self, plan_id: int, first: int, steps: Sequence[Step]) -> None:
        plan = self._plans[plan_id]
        if len(plan.steps) == first:
            self._plans[plan_id] = replace(plan, steps=(*plan.steps, *steps))

    @contextmanager
    def hold(self, city: str, shard_id: str, epoch: int) -> Iterator[None]:
        """The fence of a transaction that decides, as `router.hold`: raises `OwnershipLost` unless the shard owns the
        city in that epoch with a living lease; until the end of the context nobody can claim the city.
        """
        entry = self._cities[city]
        if entry.owner != shard_id or entry.epoch != epoch:
            raise OwnershipLost(f"shard {shard_id} does not own city {city} in epoch {epoch}")
        if not self._living(shard_id):
            raise OwnershipLost(f"the lease of shard {shard_id} has run out")
        self._shared[city] += 1
        try:
            yield
        finally:
            self._shared[city] -= 1

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1024)
        self._listeners.add(queue)

        async def names() -> AsyncIterator[str]:
            while True:
                yield await queue.get()

        try:
            yield names()
        finally:
            self._listeners.discard(queue)

    def _change(self, entry: CityEntry) -> None:
        self._cities[entry.city] = entry
        self._version += 1
        for queue in self._listeners:
            if not queue.full():  # a reader that is 1,024 changes behind polls the whole map anyway
                queue.put_nowait(entry.city)

    def _now_ms(self) -> float:
        return self._clock.monotonic_s() * 1000

    def _living(self, shard_id: str | None) -> bool:
        row = self._shards.get(shard_id or "")
        return row is not None and row.lease_until_ms > self._now_ms()

    def _shard(self, shard_id: str, row: _Row) -> ShardEntry:
        return ShardEntry(
            shard_id,
            row.address,
            self._living(shard_id),
            self._age_ms(row.heartbeat_ms),
            row.load,
            row.draining,
            self._age_ms(row.up_since_ms),
            self._age_ms(row.known_since_ms),
        )

    def _age_ms(self, since_ms: float) -> int:
        return int(self._now_ms() - since_ms)


def _ending(move: Move, claimant: str) -> tuple[MoveState, str]:
    """State in which a claim ends a move, and why."""
    if move.to_shard != claimant:
        return MoveState.FAILED, f"{move.to_shard} did not take it; {claimant} did"
    return MoveState.DONE, "" if move.state is MoveState.RELEASED else "the owner died"
