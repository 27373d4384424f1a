"""Hold a shard's lease by heartbeats, and its cities under it, claimed by compare-and-set.

    beat ──> the map ──> reconcile(map, slots, time) ──> actions ──> store, host ──> outcomes ──> slots
      ^                                                                                 │
      └──────────────── at once when a city's work ends, or the map changes ────────────┘

The lease is judged by the database's clock; here it is counted on the monotonic clock from *before* the renewal was
sent, less a margin, so that the shard stops deciding before anybody else may start. The database checks again in every
transaction that decides (`router.hold`), so a shard that is wrong about its lease can write nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import structlog

from node.errors import Retryable
from node.lifecycle import in_background
from node.retry import Policy, warned
from shard_router.leases.executor import Executor
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member, reconcile
from shard_router.leases.slots import Slots
from shard_router.leases.timing import BEAT_TIMEOUT_S, LEASE_S, MARGIN_S
from shard_router.ports import RouterStore
from shard_router.topology import CityMap

#: Before a shard enters again, and listens again for changes of the map, after the store was away.
ENTER_AGAIN = Policy(0.1, 1.0)
LISTEN_AGAIN = Policy(0.1, 0.5)


class ShardLease:
    """The lease of one shard and the cities it holds by it. `await run()` for as long as the shard lives."""

    def __init__(
        self, store: RouterStore, me: Member, host: CityHost, slots: Slots, log: structlog.stdlib.BoundLogger
    ) -> None:
        self.slots = slots
        self._store = store
        self._me = me
        self._host = host
        self._log = log
        self._incarnation = uuid4()
        self._executor = Executor(store, me.shard_id, host, slots, log)
        self._poke = self._executor.poke

    async def run(self) -> None:
        """Beats, claims and drops until cancelled. Raises `ShardTaken` when another process has the shard's name."""
        await self._enter()
        listening = in_background(self._listen(), "changes of the map", self._log)
        try:
            while True:
                self._poke.clear()  # before the map is read: what is told from now on is seen by the next beat
                pause_s = await self._beat()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._poke.wait()
        finally:
            listening.cancel()

    async def close(self) -> None:
        """Drops and releases every city, so that others need not wait for the lease to run out; over in seconds."""
        await self._executor.close()

    async def _enter(self) -> None:
        async def enter() -> None:
            sent_s = self._now_s()
            await self._store.enter(self._me.shard_id, self._me.address, self._incarnation, LEASE_S)
            self.slots.lease_until_s = sent_s + LEASE_S - MARGIN_S

        await ENTER_AGAIN.until_done(enter, warned(self._log, "cannot enter"))

    async def _beat(self) -> float:
        """Renews the lease and does what is to be done; when to beat again, seconds."""
        sent_s = self._now_s()
        map_: CityMap | None = None
        try:
            async with asyncio.timeout(BEAT_TIMEOUT_S):
                map_ = await self._store.beat(self._me.shard_id, self._incarnation, LEASE_S, self._host.load())
        except (Retryable, TimeoutError) as error:
            self._log.warning("heartbeat failed", error=repr(error))
        else:
            self.slots.lease_until_s = sent_s + LEASE_S - MARGIN_S
            self.slots.observe(map_)
        decided = reconcile(map_, self.slots.of, self._now_s(), self.slots.lease_until_s, self._me)
        for action in decided.actions:
            await self._executor.do(action)
        return decided.look_again_s

    def _now_s(self) -> float:
        return self.slots.clock.monotonic_s()

    async def _listen(self) -> None:
        """Beats at once when the map changes; the steady beat is the fallback."""
        await LISTEN_AGAIN.forever(self._poke_at_changes, warned(self._log, "changes of the map not heard"))

    async def _poke_at_changes(self) -> None:
        async with self._store.changes() as names:
            async for _ in names:
                self._poke.set()
