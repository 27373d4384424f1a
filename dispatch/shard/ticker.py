"""Ticks of one city: read what waits, decide, commit. Memory changes only after the commit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice

import structlog

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import ComputedTick
from dispatch.engine.forwarding import messages_to_forward
from dispatch.engine.inputs import Input
from dispatch.engine.log_inputs import LogEvent, inputs_of, old_orders, without
from dispatch.engine.model import OrderId
from dispatch.engine.tick import tick
from dispatch.logs.cut import AppliedRange
from dispatch.metrics import CityMetrics
from dispatch.shard.after_tick import AfterTick
from dispatch.shard.committer import Committer
from dispatch.shard.decided import DecidedTick
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.driver import LiveAnswers, run_live
from dispatch.shard.ingest import Ingest
from dispatch.shard.lessons import Lessons
from dispatch.shard.live_city import LiveCity
from dispatch.shard.suspect_events import SuspectEvents
from node.errors import Retryable
from node.postgres import DataAtFault
from shard_router.fence import OwnershipLost

#: Events a tick takes at most; the rest waits for the next.
EVENTS_A_TICK = 5_000
#: Waiting events bring the next tick forward to this share of the period after the last one.
EAGER = 0.2


class Ticker:
    """Runs the ticks of one city until cancelled, or until its memory is found wrong (`DoubleAssignment`)."""

    def __init__(
        self,
        city: LiveCity,
        dependencies: Dependencies,
        ingest: Ingest,
        lessons: Lessons,
        committer: Committer,
        after: AfterTick,
    ) -> None:
        self._city = city
        self._dependencies = dependencies
        self._ingest = ingest
        self._lessons = lessons
        self._committer = committer
        self._after = after
        self._log: structlog.stdlib.BoundLogger = dependencies.log.bind(city=city.name, epoch=city.epoch)
        self._metrics: CityMetrics = after.metrics
        self._travel = dependencies.solver.travel_of(city.name)
        self._ticking = asyncio.Lock()
        self._finishing = False
        self._suspects = SuspectEvents()
        #: Set by the first tick that could commit; when the last one could, monotonic.
        self.ticked = asyncio.Event()
        self.last_tick_s = dependencies.clock.monotonic_s()

    async def run(self) -> None:
        """Ticks each period, sooner when events wait."""
        while True:
            began_s = self._dependencies.clock.monotonic_s()
            async with self._ticking:
                if self._committer.holds() and not self._finishing:
                    await self._guarded_tick()
            await self._rest(began_s)

    async def finish(self, within_s: float) -> None:
        """Begins no further tick, and waits for the one under way; gives up after `within_s`."""
        self._finishing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._ticking:
                pass

    async def _rest(self, began_s: float) -> None:
        clock, period_s = self._dependencies.clock, self._dependencies.tick_period_ms / 1000
        await asyncio.sleep(max(0.0, began_s + EAGER * period_s - clock.monotonic_s()))
        left_s = began_s + period_s - clock.monotonic_s()
        if left_s > 0 and not self._city.ingested.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._ingest.has_events.wait()
        self._ingest.has_events.clear()

    async def _guarded_tick(self) -> None:
        try:
            await self.tick()
        except OwnershipLost as error:
            # The lease will notice as well and have the city dropped; until then nothing is decided.
            self._metrics.refused("not_owner")
            self._log.warning("commit refused", error=str(error))
        except Retryable as error:
            self._log.warning("tick failed", error=str(error))
        except DataAtFault as error:
            if not self._suspects.count:
                raise  # refused without any event: the city is loaded anew
            self._log.warning("tick refused", suspects=self._suspects.count, error=str(error))

    async def tick(self) -> None:
        """A tick. Raises `OwnershipLost`, `Retryable`, `DoubleAssignment`, `DataAtFault`: nothing has changed then."""
        began_s = self._dependencies.clock.monotonic_s()
        await self._lessons.before()
        events = tuple(islice(self._city.ingested.waiting, self._suspects.limit(EVENTS_A_TICK)))
        try:
            await self._decide_and_store(events, began_s)
        except DataAtFault as error:
            self._suspects.refused(len(events), str(error))
            raise
        if self._suspects.stored(len(events)):
            await self._set_first_aside(self._suspects.reason)

    async def _decide_and_store(self, events: tuple[LogEvent, ...], began_s: float) -> None:
        clock = self._dependencies.clock
        decided = await self._decide(events)
        await self._forward(decided)
        # While one event is suspected every tick is stored: that the database takes it is what is asked.
        stored = decided.computed.changed or self._committer.is_due or self._suspects.count > 0
        if stored:
            await self._committer.commit(decided, (clock.monotonic_s() - began_s) * 1000)
        await self._apply_committed(decided)
        if stored:
            self._after.committed(decided, (clock.monotonic_s() - began_s) * 1000)
        else:
            await self._committer.keep(decided)
        self.last_tick_s = clock.monotonic_s()
        self.ticked.set()

    async def _decide(self, events: tuple[LogEvent, ...]) -> DecidedTick:
        city, params, now_ms = self._city, self._dependencies.params, self._dependencies.clock.domain_ms()
        travel = city.committed.memory.travel or self._travel
        inputs, ignored = await self._inputs(events, now_ms)
        for event in events:
            if event.seed is not None:
                city.ingested.positions.apply(event.seed)
        applied = city.applied(events[-1].offset + 1 if events else city.committed.taken_offset)
        seen = city.ingested.positions.snapshot(now_ms, city.stale_after_ms)
        steps = tick(city.committed.memory, inputs, seen, travel, params, f"{city.name}-{city.committed.tick + 1}")
        computed = await run_live(steps, LiveAnswers(self._dependencies.solver, travel, params))
        self._after.solved(computed)
        if computed.fallbacks.stops:
            self._log.warning("stops left in their order", cause=computed.fallbacks.stops)
        if computed.fallbacks.etas:
            self._log.warning("ETAs from the plans alone", cause=computed.fallbacks.etas)
        return DecidedTick(events, ignored, applied, self._basis(computed, applied, travel.version), computed)

    def _basis(self, computed: ComputedTick, applied: AppliedRange, travel_version: str) -> TickBasis:
        began_with = self._lessons.began_with
        return TickBasis(
            now_ms=computed.now_ms,
            pings_offset=applied.cut.pings_offset,
            events_offset=applied.cut.events_offset,
            travel_version=travel_version,
            stops_fallback=computed.fallbacks.stops,
            solver_fallback=computed.fallbacks.solver,
            eta_fallback=computed.fallbacks.etas,
            renewed=self._lessons.renewed,
            lesson=began_with,
            owner_began=applied.first.events_offset if began_with is not None else None,
        )

    async def _inputs(self, events: tuple[LogEvent, ...], now_ms: int) -> tuple[list[Input], tuple[OrderId, ...]]:
        """The inputs, and which orders' openings are left out because they were opened long ago."""
        state = self._city.state
        inputs = inputs_of(events, state, now_ms)
        old = old_orders(inputs, state, now_ms - round(self._dependencies.params.offers.forget_s * 500))
        again = await self._dependencies.decision_log.known(old) if old else set()
        return without(inputs, again), tuple(sorted(again))

    async def _set_first_aside(self, reason: str) -> None:
        """No tick will take the event that waits first. Raises `Retryable`: it waits still, and is found again."""
        city = self._city
        await self._ingest.logs.set_aside(city.ingested.waiting[0], reason)
        event = city.ingested.waiting.popleft()
        city.committed.taken_offset = event.offset + 1
        self._committer.pass_over(event.offset)
        self._ingest.room.set()
        self._log.error("event set aside", event_id=event.event_id, offset=event.offset, reason=reason)

    async def _forward(self, decided: DecidedTick) -> None:
        """Before the commit that takes these events: messages of riders on loan are forwarded at least once."""
        messages = [(event.event_id, event.input) for event in decided.events]
        forwarded = messages_to_forward(messages, self._city.state)
        if forwarded:
            await self._dependencies.forward(forwarded)

    async def _apply_committed(self, decided: DecidedTick) -> None:
        city, computed, params = self._city, decided.computed, self._dependencies.params
        self._lessons.ticked()
        for _ in decided.events:
            city.ingested.waiting.popleft()
        if decided.events:
            self._ingest.room.set()
            if decided.applied.cut.incarnation == city.ingested.read.incarnation:
                city.committed.taken_offset = decided.applied.cut.events_offset
        for rider in computed.decisions.changes.riders:
            before = city.state.riders.get(rider.rider_id)
            if before is None or before.stops != rider.stops or before.loan != rider.loan:
                city.committed.route_ticks[rider.rider_id] = city.committed.tick
        city.committed.memory.apply_tick(computed, params)
        city.committed.ended.extend(order for order in computed.decisions.changes.orders if order.ended)
        city.watch_carried()
        if city.committed.memory.learning_is_due(computed.now_ms):
            await asyncio.to_thread(city.committed.memory.learn_from_positions, computed, params)
