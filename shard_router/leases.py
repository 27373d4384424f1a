"""How a shard holds its cities: one lease a shard, renewed by heartbeat; cities claimed by compare-and-set.

    beat ──> the map ──> lost?                     drop
                    ├──> coming to us?             shadow it, say when warm
                    ├──> its target is warm?       settle (finish the tick, final cut), release, drop
                    ├──> ours, but not held?       take it back, or release it if others should have it
                    └──> orphans ours to try?      claim, take (from the shadow, if there is one)

The lease is judged by the database's clock; here it is counted on the monotonic clock from *before* the renewal was
sent, less a margin, so that the shard stops deciding before anybody else may start. The database checks again in every
transaction that decides (`router.hold`), so a shard that is wrong about its lease can write nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import structlog

from node.clock import Clock
from node.errors import Retryable
from shard_router.ports import RouterStore
from shard_router.topology import CityEntry, CityMap, Move, MoveState, ShardLoad, first_claimants

LEASE_S = 3.0
#: A shard stops deciding this much before its lease runs out by its own count.
MARGIN_S = 0.3
BEAT_EVERY_S = 0.8
RETRY_S = 0.1
#: The next shard in line waits this long before it tries a city that the first one has not claimed.
PATIENCE_S = 0.5
#: After its start, and after its lease had run out, a shard waits this long before it claims what was not its own: so
#: shards that start together share the cities evenly, and after an outage of the store each gets its own back.
SETTLE_S = 1.5
#: A city whose take failed for good is not claimed again by the same shard for this long.
SHUN_S = 10.0
#: A renewal that takes longer than this is given up and tried again.
BEAT_TIMEOUT_S = 1.0
#: Cities that a shard follows as a shadow at a time; the next ones wait. Bounds what moves may cost in memory.
SHADOWS = 4
#: A shadow that is not warm by then is given up, and its move with it.
WARM_S = 120.0
#: How long a new owner waits for its first tick before it tells nothing of it.
FIRST_TICK_S = 30.0


@dataclass(frozen=True, slots=True)
class Ownership:
    """A city that this shard owns, and in which epoch."""

    city: str
    partition: int
    epoch: int


class CityHost(Protocol):
    """The part of a shard that runs cities. One that keeps nothing in memory need only `take` and `drop`."""

    async def take(self, ownership: Ownership) -> None:
        """Begins to run a city. Raises `Retryable` when it cannot yet: the city is then released and claimed anew;
        after any other error others may claim it for `SHUN_S` before this shard tries again.
        """

    async def settle(self, city: str, epoch: int) -> float:
        """Finishes the tick under way, begins no other, stores the final cut. Seconds since the last tick."""
        return 0.0

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Ends to run a city after the tick under way; returns when nothing of it runs any more. Idempotent."""

    async def shadow(self, ownership: Ownership) -> None:
        """Follows a city that another shard runs, so that `take` is quick; returns once it is warm, and follows on.

        Raises `Retryable` when it cannot just now, anything else when it never will; nothing is followed then.
        """
        return

    async def unshadow(self, city: str) -> None:
        """Follows a city no longer. Idempotent."""
        return

    async def first_tick(self, city: str, epoch: int) -> None:
        """Returns once a tick of a city that was taken could commit."""
        return


class ShardLease:
    """The lease of one shard and the cities it holds by it. `await run()` for as long as the shard lives."""

    def __init__(
        self,
        store: RouterStore,
        shard_id: str,
        address: str,
        host: CityHost,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._store = store
        self._shard_id = shard_id
        self._address = address
        self._host = host
        self._clock = clock
        self._log = log
        self._incarnation = uuid4()
        self._load: Callable[[], ShardLoad] = ShardLoad
        self._until_s = 0.0
        self._settled_s = 0.0
        self._held: dict[str, Ownership] = {}
        self._orphan_since_s: dict[tuple[str, int], float] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._shunned_until_s: dict[str, float] = {}
        #: Cities followed for a move, by name: the move, and the task that warms the shadow.
        self._shadows: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._expiry_s = 0.0
        self._poke = asyncio.Event()

    def holds(self, city: str, epoch: int) -> bool:
        """Whether the shard may decide for the city now, by its own count. Cheap: ask before each tick."""
        held = self._held.get(city)
        return held is not None and held.epoch == epoch and self._clock.monotonic_s() < self._until_s

    def measure(self, load: Callable[[], ShardLoad]) -> None:
        """Says how to measure the load that each heartbeat reports."""
        self._load = load

    def give_up(self, city: str, epoch: int, reason: str) -> None:
        """The host cannot run a city that it holds: others may claim it, here it is shunned for a while."""
        held = self._held.get(city)
        if held is not None and held.epoch == epoch:
            self._shunned_until_s[city] = self._clock.monotonic_s() + SHUN_S
            self._drop(held, reason, release=True)

    async def run(self) -> None:
        """Beats, claims and drops until cancelled. Raises `ShardTaken` when another process has the shard's name."""
        await self._enter()
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                self._poke.clear()  # before the map is read: what is told from now on is seen by the next beat
                pause_s = min(BEAT_EVERY_S, self._expiry_s) if await self._beat() else RETRY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._poke.wait()
        finally:
            listening.cancel()
            for task in (*(warming for _, warming in self._shadows.values()), *self._telling):
                task.cancel()

    async def close(self) -> None:
        """Drops and releases every city, so that others need not wait for the lease to run out."""
        for held in list(self._held.values()):
            self._drop(held, "the shard stops", release=True)
        for city in list(self._shadows):
            self._unshadow(city)
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _enter(self) -> None:
        pause_s = 0.1
        while True:
            sent_s = self._clock.monotonic_s()
            try:
                await self._store.enter(self._shard_id, self._address, self._incarnation, LEASE_S)
            except Retryable as error:
                self._log.warning("cannot enter", error=str(error), pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 1.0)
                continue
            self._until_s = sent_s + LEASE_S - MARGIN_S
            self._settled_s = sent_s + SETTLE_S
            return

    async def _beat(self) -> bool:
        """Renews the lease and acts on the map; False when the store did not answer."""
        sent_s = self._clock.monotonic_s()
        try:
            async with asyncio.timeout(BEAT_TIMEOUT_S):
                map_ = await self._store.beat(self._shard_id, self._incarnation, LEASE_S, self._load())
        except (Retryable, TimeoutError) as error:
            self._log.warning("heartbeat failed", error=repr(error))
            if self._clock.monotonic_s() >= self._until_s:
                for held in list(self._held.values()):
                    self._drop(held, "the lease ran out", release=False)
            return False
        if self._clock.monotonic_s() >= self._until_s:
            self._settled_s = sent_s + SETTLE_S  # the leases of others may have run out by the same outage
        self._until_s = sent_s + LEASE_S - MARGIN_S
        await self._reconcile(map_)
        return True

    async def _reconcile(self, map_: CityMap) -> None:
        self._expiry_s = next_expiry_s(map_, self._shard_id)
        for held in list(self._held.values()):
            entry = map_.cities.get(held.city)
            if entry is None or entry.owner != self._shard_id or entry.epoch != held.epoch:
                self._drop(held, "another shard took it", release=False)
            elif entry.move is not None and held.city not in self._busy:
                await self._let_go(held, entry.move, map_)
        self._follow(map_)
        for entry in self._left_behind(map_):
            if self._for_others(entry, map_):
                await self._release(Ownership(entry.city, entry.partition, entry.epoch))
        for entry in self._claimable(map_):
            await self._claim(entry)

    async def _let_go(self, held: Ownership, move: Move, map_: CityMap) -> None:
        """What the owner does about a move: hands over to a warm target, goes on if the target is dead."""
        if not map_.alive(move.to_shard):
            with suppress(Retryable):
                await self._store.fail_move(move.move_id, f"{move.to_shard} died", self._shard_id)
        elif move.state is MoveState.WARM:
            self._log.info("handing over", city=held.city, epoch=held.epoch, to=move.to_shard)
            self._start(held.city, self._hand_over(held))

    async def _hand_over(self, held: Ownership) -> None:
        """In this order: the last tick ends, the final cut is stored, nothing is decided, the target may claim."""
        idle_s = None
        try:
            idle_s = await self._host.settle(held.city, held.epoch)
        except Exception as error:  # noqa: BLE001  it decides no more, whatever it is
            self._log.error("city not settled", city=held.city, exc_info=error)
        if self._held.get(held.city) is not held:
            return  # lost meanwhile
        self._held.pop(held.city)
        await self._release(held, idle_s)
        await self._host.drop(held.city, held.epoch, "it moved")

    def _follow(self, map_: CityMap) -> None:
        """Begins and ends shadows as the map says."""
        coming = {c.city: c for c in map_.cities.values() if c.moving_to == self._shard_id and c.move is not None}
        for city, (move_id, _) in list(self._shadows.items()):
            entry = coming.get(city)
            if city not in self._held and (entry is None or entry.move is None or entry.move.move_id != move_id):
                self._unshadow(city)
        for city, entry in coming.items():
            if len(self._shadows) >= SHADOWS:
                break
            if entry.move is None or city in self._shadows or city in self._held or not map_.alive(entry.owner):
                continue
            task = asyncio.create_task(self._warm(entry, entry.move.move_id), name=f"shadow:{city}")
            self._shadows[city] = (entry.move.move_id, task)

    async def _warm(self, entry: CityEntry, move_id: int) -> None:
        """Follows a city until it is warm here, and says so. What cannot be followed is not moved."""
        why, limit = "", asyncio.timeout(WARM_S)
        try:
            async with limit:
                while True:
                    try:
                        await self._host.shadow(Ownership(entry.city, entry.partition, entry.epoch))
                        await self._store.warm(entry.city, self._shard_id, move_id)
                        return
                    except Retryable as error:
                        why = f": {error}"
                        self._log.warning("shadow not warm", city=entry.city, error=str(error))
                        await asyncio.sleep(0.5)
        except Exception as error:  # noqa: BLE001  whatever it is: the owner goes on
            self._log.warning("shadow failed", city=entry.city, exc_info=error)
            why = f"not warm within {WARM_S:g} s{why}" if limit.expired() else repr(error)
        while True:  # until it is heard, or the move is over and this task cancelled
            with suppress(Retryable):
                await self._store.fail_move(move_id, f"{self._shard_id} cannot follow it: {why}", self._shard_id)
                return
            await asyncio.sleep(0.5)

    def _unshadow(self, city: str) -> None:
        _, task = self._shadows.pop(city)
        task.cancel()
        if city not in self._busy and city not in self._held:
            self._start(city, self._host.unshadow(city))

    def _claimable(self, map_: CityMap) -> list[CityEntry]:
        """Cities that this shard should try to claim now."""
        now_s = self._clock.monotonic_s()
        free = {entry.city: entry for entry in map_.orphans()}
        moving = [c for c in free.values() if c.moving_to == self._shard_id]
        since_s = {(c.city, c.epoch): self._orphan_since_s.get((c.city, c.epoch), now_s) for c in free.values()}
        self._orphan_since_s = since_s
        if map_.shards[self._shard_id].draining:
            return self._idle(moving)
        mine = [entry for entry in self._left_behind(map_) if not self._for_others(entry, map_)]
        if now_s < self._settled_s:
            return self._idle([*mine, *moving])
        turn = []
        for name, order in first_claimants(map_).items():
            entry = free[name]
            if entry.moving_to not in (None, self._shard_id) and map_.alive(entry.moving_to):
                continue
            waited_s = now_s - max(since_s[(name, entry.epoch)], self._settled_s)
            left_s = PATIENCE_S * order.index(self._shard_id) - waited_s
            if left_s <= 0:
                turn.append(entry)
            else:  # Its turn may come before the next heartbeat does.
                self._expiry_s = min(self._expiry_s, max(RETRY_S, left_s))
        return self._idle([*mine, *moving, *turn])

    def _left_behind(self, map_: CityMap) -> list[CityEntry]:
        """Cities of ours by the map that we do not hold: of an earlier run, of before an outage, or let go unheard."""
        ours = map_.owned_by(self._shard_id)
        return [entry for entry in ours if entry.city not in self._held and entry.city not in self._busy]

    def _for_others(self, entry: CityEntry, map_: CityMap) -> bool:
        """Whether a city left behind is to be released, not taken back: while we live nobody else can claim it."""
        elsewhere = entry.moving_to != self._shard_id and map_.alive(entry.moving_to)
        return elsewhere or map_.shards[self._shard_id].draining or self._shuns(entry.city)

    def _shuns(self, city: str) -> bool:
        return self._clock.monotonic_s() < self._shunned_until_s.get(city, -math.inf)

    def _idle(self, entries: list[CityEntry]) -> list[CityEntry]:
        """Without repetitions, and without cities that are being taken or dropped, or that failed here just now."""
        unique = {entry.city: entry for entry in entries}
        return [
            entry
            for name, entry in unique.items()
            if name not in self._busy and name not in self._held and not self._shuns(name)
        ]

    async def _claim(self, entry: CityEntry) -> None:
        try:
            epoch = await self._store.claim(entry.city, self._shard_id, entry.epoch)
        except Retryable as error:
            self._log.warning("claim failed", city=entry.city, error=str(error))
            return
        if epoch is None:
            return
        ownership = Ownership(entry.city, entry.partition, epoch)
        self._held[entry.city] = ownership
        self._log.info("claimed", city=entry.city, epoch=epoch)
        self._start(entry.city, self._take(ownership))

    async def _take(self, ownership: Ownership) -> None:
        try:
            await self._end_warming(ownership.city)
            await self._host.take(ownership)
        except Exception as error:  # noqa: BLE001  whatever it is: a city owned and not run is nobody's
            retryable = isinstance(error, Retryable)
            self._log.warning(
                "take failed",
                city=ownership.city,
                epoch=ownership.epoch,
                error=repr(error),
                exc_info=None if retryable else error,
            )
            self._held.pop(ownership.city, None)
            await self._release(ownership)
            if not retryable:
                # It will fail again here: leave it to others for a while, but not for ever, there may be none.
                self._shunned_until_s[ownership.city] = self._clock.monotonic_s() + SHUN_S
            return
        telling = asyncio.create_task(self._tell_first_tick(ownership), name=f"first tick:{ownership.city}")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _end_warming(self, city: str) -> None:
        """The city is ours: a shadow that is warm is there to be taken, one that still loads would be left over."""
        _, warming = self._shadows.pop(city, (0, None))
        if warming is not None and not warming.done():
            warming.cancel()
            await asyncio.wait([warming])

    async def _tell_first_tick(self, ownership: Ownership) -> None:
        with suppress(Retryable, TimeoutError):
            async with asyncio.timeout(FIRST_TICK_S):
                await self._host.first_tick(ownership.city, ownership.epoch)
                await self._store.first_tick(ownership.city, self._shard_id, ownership.epoch)

    def _drop(self, held: Ownership, reason: str, *, release: bool) -> None:
        """Stops deciding at once; ending the tick, and letting go, go on beside the heartbeat."""
        self._held.pop(held.city, None)
        self._log.info("dropping", city=held.city, epoch=held.epoch, reason=reason)
        earlier = self._busy.get(held.city)

        async def drop() -> None:
            if earlier is not None:
                await asyncio.wait([earlier])
            await self._host.drop(held.city, held.epoch, reason)
            if release:
                await self._release(held)

        self._start(held.city, drop())

    async def _release(self, held: Ownership, idle_s: float | None = None) -> None:
        with suppress(Retryable):  # the next beat finds it left behind; after the last one, the lease runs out
            await self._store.release(held.city, self._shard_id, held.epoch, idle_s)

    def _start(self, city: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"lease:{city}")
        self._busy[city] = task

        def done(ended: asyncio.Task[None]) -> None:
            if self._busy.get(city) is ended:
                del self._busy[city]
            if not ended.cancelled() and ended.exception() is not None:
                self._log.error("city host failed", city=city, exc_info=ended.exception())
            self._poke.set()

        task.add_done_callback(done)

    async def _listen(self) -> None:
        """Beats at once when the map changes; the steady beat is the fallback."""
        while True:
            with suppress(Retryable):
                async with self._store.changes() as names:
                    async for _ in names:
                        self._poke.set()
            await asyncio.sleep(0.5)


def next_expiry_s(map_: CityMap, own: str) -> float:
    """When the next lease of another shard that has cities will run out unless it is renewed; a lease is judged then.

    A shard that has just died is so found dead at once, not up to a heartbeat later.
    """
    owners = {city.owner for city in map_.cities.values()}
    ages_ms = [
        s.heartbeat_age_ms for s in map_.shards.values() if s.alive and s.shard_id != own and s.shard_id in owners
    ]
    return max(RETRY_S, LEASE_S - max(ages_ms, default=0) / 1000 + 0.01)
