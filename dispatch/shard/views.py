"""Views of last positions: others read them, dispatch never does, and never waits for them.

Each view is a task of its own that follows the index at its own pace: it writes what moved since its last write,
latest only, and skips the rest. A dead or slow store makes its view old, nothing else. After a failure, and when the
store says that it lost what was in it, the next write is of everybody: the view is whole again with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import structlog

from dispatch.engine.model import RiderId
from dispatch.metrics import VIEW_BEHIND_MS, VIEW_FAILURES, VIEW_LAG_MS
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import PositionsView
from dispatch.shard.queries import activity
from node.clock import Clock
from node.errors import Retryable
from node.retry import PATIENT

_T = TypeVar("_T")


def statuses(city: LiveCity, rider_ids: Iterable[int]) -> list[str]:
    """Activities of riders as of the last commit."""
    riders = city.state.riders
    return [activity(riders.get(RiderId(rider_id))).value for rider_id in rider_ids]


@dataclass(frozen=True, slots=True)
class Pace:
    """Load that a view may put on its store.

    Wall seconds. Rounds begin at least `every_s` after one another and write at most `rows` riders at a time. After a
    write that took t the store is left alone for `rest` x t, so that a slow one serves others meanwhile, also when a
    new owner writes a whole city. With n writes a round takes r = n t (1 + rest), and the view is at most max(every_s,
    r) + r old.
    """

    every_s: float
    rest: float
    rows: int


class ViewFollower:
    """Keeps one view of one city, at a pace."""

    def __init__(
        self,
        name: str,
        view: PositionsView,
        city: LiveCity,
        clock: Clock,
        pace: Pace,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._name = name
        self._view = view
        self._city = city
        self._clock = clock
        self._pace = pace
        self._log = log
        #: The store is left alone until then, monotonic seconds.
        self._rested_s = 0.0
        self._version = 0
        #: Riders in the view; None until those are known whom earlier owners left there.
        self._shown: set[int] | None = None
        #: When the last round that ended well began: what changed before is in the view.
        self._since_s = clock.monotonic_s()
        self._lag_ms = VIEW_LAG_MS.labels(name)
        self._behind_ms = VIEW_BEHIND_MS.labels(city.name, name)
        self._failures = VIEW_FAILURES.labels(name)

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            took_s = await PATIENT.until_done(self._round, self._failed)
            await asyncio.sleep(max(0.0, self._pace.every_s - took_s))
            await self._rest()

    async def _round(self) -> float:
        """Writes once; how long it took, wall seconds."""
        began_s = self._clock.monotonic_s()
        await self.write()
        now_s = self._clock.monotonic_s()
        took_s, lag_ms = now_s - began_s, 1000 * (now_s - self._since_s)
        self._since_s = began_s
        self._lag_ms.observe(lag_ms)
        self._behind_ms.set(lag_ms)
        return took_s

    def _failed(self, error: BaseException, pause_s: float) -> None:
        self._failures.inc()
        self._behind_ms.set(1000 * (self._clock.monotonic_s() - self._since_s))
        self._log.warning("view not written", view=self._name, error=str(error), pause_s=pause_s)

    async def write(self) -> None:
        """One round: what moved, then what fell silent. Raises `Retryable`; the next round makes it good."""
        try:
            await self._write()
        except Retryable:
            self._version, self._shown = 0, None  # what is in the store now is not known
            raise

    async def _write(self) -> None:
        city, version = self._city, self._city.ingested.positions.version
        now_ms = self._clock.domain_ms()
        if self._shown is None:
            self._shown = set(await self._paced(self._view.riders(city.name)))
        kept = await self._show(self._shown, self._version, now_ms)
        if not kept and self._version:
            await self._show(self._shown, 0, now_ms)
        silent = self._silent(self._shown, now_ms)
        if silent:
            await self._paced(self._view.remove(city.name, city.epoch, silent))
            self._shown -= set(silent)
        self._version = version

    async def _show(self, shown: set[int], since: int, now_ms: int) -> bool:
        """Writes who moved since a version of the index; whether the view still had what was in it."""
        city = self._city
        moved = city.ingested.positions.changed_since(since)
        fresh = moved.take(moved.ts_ms >= now_ms - city.stale_after_ms)
        kept = True
        for at in range(0, max(1, len(fresh)), self._pace.rows):  # nobody moved: the store is asked what it has
            part = fresh.take(np.arange(at, min(at + self._pace.rows, len(fresh))))
            kept &= await self._paced(self._view.write(city.name, city.epoch, part))
            shown |= set(part.rider_id.tolist())
        return kept

    async def _paced(self, call: Awaitable[_T]) -> _T:
        await self._rest()
        began_s = self._clock.monotonic_s()
        try:
            return await call
        finally:
            now_s = self._clock.monotonic_s()
            self._rested_s = now_s + self._pace.rest * (now_s - began_s)

    async def _rest(self) -> None:
        await asyncio.sleep(max(0.0, self._rested_s - self._clock.monotonic_s()))

    def _silent(self, riders: set[int], now_ms: int) -> list[int]:
        """Find the riders without a fix for too long, or of whom this owner knows none."""
        shown = np.fromiter(riders, np.uint64, len(riders))
        _, age_ms, known = self._city.ingested.positions.positions_of(shown, now_ms)
        silent: list[int] = shown[~known | (age_ms > self._city.stale_after_ms)].tolist()
        return silent
