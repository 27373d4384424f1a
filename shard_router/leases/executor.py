"""Carry out the actions that `reconcile` decided, with store and host, and report the outcomes to the slots.

Each city has one task at work at a time. What ends a city stops its deciding at once, and cancels what is being done
about it; calls of the host that end something are never cut short (`_to_its_end`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from node.errors import Retryable
from node.lifecycle import STOP_DEADLINE_S, in_background
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import (
    Action,
    Claim,
    Drop,
    FailMove,
    Follow,
    HandOver,
    Release,
    Reload,
    TellWarm,
    Unfollow,
)
from shard_router.leases.slots import FOLLOWING, HOLDING, Slot, Slots, SlotState
from shard_router.leases.timing import FIRST_TICK_S
from shard_router.ports import RouterStore
from shard_router.topology import Ownership

#: How long a shard that stops waits for its cities to end, wall seconds; the rest of the deadline is for what is closed
#: after them.
CLOSE_S = STOP_DEADLINE_S - 2.0

T = TypeVar("T")


class Executor:
    """Carries out actions for one shard; sets `poke` whenever the work on a city ends."""

    def __init__(
        self,
        store: RouterStore,
        shard_id: str,
        host: CityHost,
        slots: Slots,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._store = store
        self._shard_id = shard_id
        self._host = host
        self._slots = slots
        self._log = log
        #: What is being done, by city.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.poke = asyncio.Event()

    async def do(self, action: Action) -> None:
        """Carries out one action. Those that only begin something never wait: no slot changes between two of them."""
        slots = self._slots.of
        match action:
            case Drop():
                self._drop(slots[action.city], action)
            case Unfollow():
                self._unfollow(slots[action.city], action)
            case HandOver():
                self._hand_over(slots[action.city])
            case Reload():
                self._reload(slots[action.city])
            case Follow():
                self._follow(slots[action.ownership.city], action)
            case _:
                await self._tell_store(action)

    async def close(self) -> None:
        """Drops and releases every city, so that others need not wait for the lease to run out.

        Over within `CLOSE_S`: a city that has not ended by then is left to the end of the process, and of the lease.
        """
        for slot in self._slots.of.values():
            if slot.state in HOLDING:
                self._drop(slot, Drop(slot.city, "the shard stops", release=True))
            elif slot.state in FOLLOWING:
                self._unfollow(slot, Unfollow(slot.city))
        if self._tasks:
            _, left = await asyncio.wait(self._tasks.values(), timeout=CLOSE_S)
            if left:
                self._log.error("cities left behind", tasks=sorted(task.get_name() for task in left))

    async def _tell_store(self, action: FailMove | TellWarm | Release | Claim) -> None:
        """Tell the store; if it is away, the next beat decides again."""
        try:
            match action:
                case FailMove():
                    await self._store.fail_move(action.move_id, action.reason, self._shard_id)
                case TellWarm():
                    await self._store.warm(action.city, self._shard_id, action.move_id)
                case Release():
                    await self._release(action.ownership)
                case Claim():
                    await self._claim(action)
        except Retryable as error:
            self._log.warning("store did not answer", action=action, error=str(error))

    async def _claim(self, action: Claim) -> None:
        epoch = await self._store.claim(action.city, self._shard_id, action.seen_epoch)
        if epoch is None:
            return
        slot = self._slots.of[action.city]
        slot.claimed(Ownership(action.city, action.partition, epoch), self._now_s())
        self._log.info("claimed", city=action.city, epoch=epoch)
        self._begin(slot, self._take)  # a shadow that still loads is ended first, one that is warm is there to be taken

    async def _take(self, slot: Slot, own: Ownership) -> None:
        try:
            await self._host.take(own)
        except Exception as error:  # noqa: BLE001  whatever it is: a city owned and not run is nobody's
            for_good = self._log_failure("take failed", own, error)
            slot.take_failed(self._now_s(), for_good=for_good)
            await self._end(slot, own, "it could not be taken", release=True)
        else:
            await self._watch(slot, own)

    def _reload(self, slot: Slot) -> None:
        self._begin(slot, self._take_again)

    async def _take_again(self, slot: Slot, own: Ownership) -> None:
        try:
            await self._host.take(own)
        except Exception as error:  # noqa: BLE001  whatever it is: it is tried again, or given up
            slot.reload_failed(self._now_s(), for_good=self._log_failure("reload failed", own, error))
        else:
            await self._watch(slot, own)

    async def _watch(self, slot: Slot, own: Ownership) -> None:
        """Follows a city that runs until a part of it fails; ends what is left of it then."""
        slot.taken(self._now_s())
        telling = in_background(self._tell_first_tick(own), f"first tick:{own.city}", self._log)
        try:
            await self._host.failure(own.city, own.epoch)
        finally:
            telling.cancel()
        slot.failed(self._now_s())
        await _to_its_end(self._host.drop(own.city, own.epoch, "a part of it failed"))

    async def _tell_first_tick(self, own: Ownership) -> None:
        with suppress(Retryable, TimeoutError):
            async with asyncio.timeout(FIRST_TICK_S):
                await self._host.first_tick(own.city, own.epoch)
                await self._store.first_tick(own.city, self._shard_id, own.epoch)

    def _follow(self, slot: Slot, action: Follow) -> None:
        slot.follow(action.ownership, action.move_id, self._now_s())
        self._begin(slot, self._warm)

    async def _warm(self, slot: Slot, owner: Ownership) -> None:
        try:
            await self._host.shadow(owner)
        except Exception as error:  # noqa: BLE001  whatever it is: the owner goes on
            for_good = self._log_failure("shadow failed", owner, error)
            slot.follow_failed(repr(error) if for_good else str(error), self._now_s(), for_good=for_good)
        else:
            slot.enter(SlotState.WARM, self._now_s())

    def _unfollow(self, slot: Slot, action: Unfollow) -> None:
        slot.drop(self._now_s(), refuse=action.refuse)

        async def end(slot: Slot, _: Ownership) -> None:
            try:
                await _to_its_end(self._host.unshadow(slot.city))
            finally:
                slot.dropped(self._now_s())

        self._begin(slot, end)

    def _hand_over(self, slot: Slot) -> None:
        slot.enter(SlotState.HANDING_OVER, self._now_s())
        self._begin(slot, self._settle)

    async def _settle(self, slot: Slot, own: Ownership) -> None:
        """In this order: the last tick ends, the final cut is stored, nothing is decided, the target may claim."""
        self._log.info("handing over", city=own.city, epoch=own.epoch)
        idle_s = None
        try:
            idle_s = await _to_its_end(self._host.settle(own.city, own.epoch))
        except Exception as error:  # noqa: BLE001  it decides no more, whatever it is
            self._log.error("city not settled", city=own.city, exc_info=error)
        if slot.state is not SlotState.HANDING_OVER:
            return  # lost meanwhile; whoever noticed ends it
        slot.drop(self._now_s())
        try:
            await self._release(own, idle_s)
        finally:
            await self._end(slot, own, "it moved")

    def _drop(self, slot: Slot, action: Drop) -> None:
        """Stops deciding at once; ending the tick, and letting go, go on beside the heartbeat."""
        slot.drop(self._now_s(), shun=action.shun)
        self._log.info("dropping", city=slot.city, reason=action.reason)

        async def end(slot: Slot, own: Ownership) -> None:
            await self._end(slot, own, action.reason, release=action.release)

        self._begin(slot, end)

    async def _end(self, slot: Slot, own: Ownership, reason: str, *, release: bool = False) -> None:
        try:
            await _to_its_end(self._host.drop(own.city, own.epoch, reason))
            if release:
                await self._release(own)
        finally:
            slot.dropped(self._now_s())

    async def _release(self, own: Ownership, idle_s: float | None = None) -> None:
        with suppress(Retryable):  # the next beat finds it left behind; after the last one, the lease runs out
            await self._store.release(own.city, self._shard_id, own.epoch, idle_s)

    def _begin(self, slot: Slot, work: Callable[[Slot, Ownership], Awaitable[None]]) -> None:
        """Cancels what is being done about a city; once that has ended, begins something else."""
        own, earlier = slot.ownership, self._tasks.get(slot.city)
        assert own is not None, slot
        if earlier is not None:
            earlier.cancel()

        async def run() -> None:
            if earlier is not None:
                await _to_its_end(asyncio.wait([earlier]))
            await work(slot, own)

        task = self._tasks[slot.city] = asyncio.create_task(run(), name=f"lease:{slot.city}")
        slot.busy = True
        task.add_done_callback(lambda ended: self._ended(slot, ended))

    def _ended(self, slot: Slot, task: asyncio.Task[None]) -> None:
        if self._tasks.get(slot.city) is task:
            del self._tasks[slot.city]
            slot.busy = False
        if not task.cancelled() and task.exception() is not None:
            self._log.error("city host failed", city=slot.city, exc_info=task.exception())
        self.poke.set()

    def _log_failure(self, what: str, own: Ownership, error: Exception) -> bool:
        """Whether it is for good: what is `Retryable` passes by itself."""
        for_good = not isinstance(error, Retryable)
        trace = error if for_good else None
        self._log.warning(what, city=own.city, epoch=own.epoch, error=repr(error), exc_info=trace)
        return for_good

    def _now_s(self) -> float:
        return self._slots.clock.monotonic_s()


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Waits for work that must not be cut short: a cancellation of the caller takes effect when it has ended."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    done = task.result()
    if cancelled is not None:
        raise cancelled
    return done
