"""Store the ticks of one city, and what a replay needs beside them.

A tick that changes nothing writes no row. What it went by is kept and stored with the next row, so that a replay runs
it too: ETAs, turns and lessons move on in every tick.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import Digests
from dispatch.engine.model import OrderId
from dispatch.engine.snapshot import pack_memory
from dispatch.metrics import CityMetrics
from dispatch.shard.decided import DecidedTick
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.errors import DoubleAssignment, OutcomeUnknown
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import Checkpoint, TickCommit
from node.errors import Retryable
from node.retry import Policy, warned
from shard_router.fence import OwnershipLost

#: Ticks without a row at most, one after the other; the next one gets a row though nothing changed.
QUIET_TICKS: Final = 600
#: Between ticks that write nothing the cut is stored this often, wall seconds.
CUT_EVERY_S: Final = 3.0
#: How often the memory of a city is stored with a tick, wall seconds: recorded stretches begin there.
CHECKPOINT_EVERY_S: Final = 300.0
#: Between two questions whether a tick was committed.
_ASK_AGAIN: Final = Policy(0.05, 0.2)


class Committer:
    """Writes the ticks of one city; `holds` is asked before each commit."""

    def __init__(
        self,
        city: LiveCity,
        dependencies: Dependencies,
        holds: Callable[[], bool],
        metrics: CityMetrics,
        log: structlog.stdlib.BoundLogger,
        *,
        from_shadow: bool,
    ) -> None:
        self._city = city
        self._decision_log = dependencies.decision_log
        self._params = dependencies.params
        self._clock = dependencies.clock
        self.holds = holds
        self._metrics = metrics
        self._log = log
        self._cut_saved_s = 0.0
        self._checkpoint_saved_s: float | None = None
        #: All of a city that moves waits for its first tick here: a checkpoint is stored with a later one.
        self._first_without_checkpoint = from_shadow
        #: Of ticks since the last row.
        self._quiet: list[TickBasis] = []
        self._ignored: tuple[OrderId, ...] = ()
        self._passed_over: tuple[int, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether the next tick gets a row, changed or not."""
        return len(self._quiet) >= QUIET_TICKS

    async def commit(self, tick: DecidedTick, decided_ms: float) -> None:
        """Store a tick. Raises `OwnershipLost`, `Retryable`, `DoubleAssignment` and `DataAtFault`; nothing has changed
        then."""
        checkpoint = await self._checkpoint()
        record = await asyncio.to_thread(self._record, tick, checkpoint, decided_ms)
        if not self.holds():
            raise OwnershipLost("the lease ran out before the commit")
        began_s = self._clock.monotonic_s()
        try:
            await self._decision_log.commit(record)
        except OutcomeUnknown as error:
            self._log.warning("outcome unknown", tick=record.tick, error=str(error))
            if not await self._asked_committed(record.tick):
                if not self.holds():
                    self._metrics.refused("lease_over")
                raise Retryable("the tick was not committed", reason="NOT_COMMITTED") from error
        except DoubleAssignment:
            self._metrics.refused("double_assignment")
            raise
        self._metrics.commit_ms.observe((self._clock.monotonic_s() - began_s) * 1000)
        self._committed(record)

    async def keep(self, tick: DecidedTick) -> None:
        """Keep what a tick without a row went by until the next row; store the cut now and then."""
        self._first_without_checkpoint = False
        self._quiet.append(tick.basis)
        self._ignored += tick.ignored
        if self._clock.monotonic_s() - self._cut_saved_s >= CUT_EVERY_S:
            city = self._city
            await self._decision_log.save_cut(city.ownership, city.committed.tick, city.taken)
            self._cut_saved_s = self._clock.monotonic_s()

    def pass_over(self, offset: int) -> None:
        """Keep the offset of an event that was set aside until the next row: no tick takes it, live or in a replay."""
        self._passed_over += (offset,)

    def _record(self, tick: DecidedTick, checkpoint: Checkpoint | None, decided_ms: float) -> TickCommit:
        """Pure, and with its hashes long enough to belong in a thread."""
        city, decisions = self._city, tick.computed.decisions
        solution = decisions.solution
        return TickCommit(
            ownership=city.ownership,
            tick=city.committed.tick + 1,
            basis=tick.basis,
            applied=tick.applied,
            params=self._params,
            strategy=solution.strategy,
            solver_status=solution.status,
            solver_work=solution.work,
            solver_cost=solution.cost,
            digests=Digests.of(tick.computed),
            quiet=tuple(self._quiet),
            ignored=self._ignored + tick.ignored,
            passed_over=self._passed_over,
            checkpoint=checkpoint,
            duration_ms=decided_ms,
            changes=decisions.changes,
            holdings=city.committed.holdings.plan(decisions.changes.orders),
            records=decisions.records,
            tracks=tick.computed.tracks,
        )

    async def _checkpoint(self) -> Checkpoint | None:
        """The memory before this tick, now and then."""
        saved_s = self._checkpoint_saved_s
        saved_lately = saved_s is not None and self._clock.monotonic_s() - saved_s < CHECKPOINT_EVERY_S
        if saved_lately or self._first_without_checkpoint:
            return None
        city = self._city
        return Checkpoint(city.committed.taken_offset, await asyncio.to_thread(pack_memory, city.committed.memory))

    async def _asked_committed(self, tick: int) -> bool:
        """Asks until there is an answer; without one nothing may be decided, and the lease ends the wait."""
        return await _ASK_AGAIN.until_done(
            lambda: self._decision_log.committed(self._city.name, tick, self._city.epoch),
            warned(self._log, "outcome still unknown", tick=tick),
        )

    def _committed(self, record: TickCommit) -> None:
        self._city.committed.tick = record.tick
        self._city.committed.holdings.commit(record.holdings)
        self._first_without_checkpoint = False
        self._quiet, self._ignored, self._passed_over = [], (), ()
        self._cut_saved_s = self._clock.monotonic_s()
        if record.checkpoint is not None:
            self._checkpoint_saved_s = self._cut_saved_s
