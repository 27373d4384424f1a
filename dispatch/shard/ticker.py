"""Ticks of one city: intake, pose, solve, decide, commit. Memory changes only after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

import structlog

from dispatch.engine.digest import digest
from dispatch.engine.eta.resequence import questions, rearrange
from dispatch.engine.forwarding import Forward, messages_to_forward
from dispatch.engine.inputs import Input, Positions
from dispatch.engine.intake import LogEvent, inputs_of, old_orders, without
from dispatch.engine.model import OfferStatus, OrderId
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.snapshot import pack_state
from dispatch.engine.tick import (
    Decisions,
    Draft,
    Problem,
    Solution,
    apply,
    close_expired,
    decide,
    needs_matching,
    nothing_decided,
    pose,
)
from dispatch.engine.tracks import Eta, TrackChanges, update_tracks
from dispatch.logs.cut import Applied
from dispatch.metrics import CityMetrics
from dispatch.positions import PositionSnapshot
from dispatch.shard.city import City
from dispatch.shard.errors import CityLost, DoubleAssignment, OutcomeUnknown
from dispatch.shard.etas import WAITING, EtaTurns, carried_on, due_open, question
from dispatch.shard.ingest import Ingest
from dispatch.shard.lessons import Lessons
from dispatch.shard.ports import DecisionLog, Start, TickCommit
from dispatch.shard.solver import Solving
from dispatch.shard.wakes import Wakes
from node.clock import Clock
from node.errors import Retryable

#: Events a tick takes at most; the rest waits for the next.
EVENTS_A_TICK = 5_000
#: Between ticks that write nothing the cut is stored this often, wall seconds.
CUT_EVERY_S = 3.0
#: Waiting events bring the next tick forward to this share of the period after the last one.
EAGER = 0.2

#: How often the memory of a city is stored with a tick, wall seconds: recorded stretches begin there.
START_EVERY_S = 300.0


@dataclass(frozen=True, slots=True)
class Round:
    """A tick that has been decided and not yet been committed."""

    events: tuple[LogEvent, ...]
    now_ms: int
    applied: Applied
    notes: tuple[Note, ...]
    decisions: Decisions
    etas: dict[OrderId, Eta]
    told: TrackChanges
    problem: Problem | None
    ignored: tuple[OrderId, ...]
    positions: Positions


class Ticker:
    """Runs the ticks of one city until cancelled, or until its memory is found wrong (`DoubleAssignment`)."""

    def __init__(
        self,
        city: City,
        ingest: Ingest,
        solver: Solving,
        decision_log: DecisionLog,
        lessons: Lessons,
        wakes: Wakes,
        params: EngineParams,
        clock: Clock,
        period_ms: int,
        holds: Callable[[], bool],
        committed: Callable[[], None],
        metrics: CityMetrics,
        log: structlog.stdlib.BoundLogger,
        forward: Forward,
    ) -> None:
        self._forward = forward
        self._city = city
        self._ingest = ingest
        self._solver = solver
        self._travel = solver.travel_of(city.name)
        self._decision_log = decision_log
        self._lessons = lessons
        self._wakes = wakes
        self._params = params
        self._clock = clock
        self._period_s = period_ms / 1000
        self._holds = holds
        self._committed = committed
        self._metrics = metrics
        self._log = log
        self._cut_saved_s = 0.0
        self._start_saved_s: float | None = None
        #: Orders opened anew though they had ended, since the last commit.
        self._ignored: tuple[OrderId, ...] = ()
        self._turns = EtaTurns()
        self._ticking = asyncio.Lock()
        #: Once set no further tick begins; the one under way may still commit.
        self.closing = False
        #: The first tick is waited for by a whole city: what can come later, comes later.
        self.hurried = False
        #: Set by the first tick that could commit; when the last one could, monotonic.
        self.ticked = asyncio.Event()
        self.last_tick_s = clock.monotonic_s()

    async def run(self) -> None:
        """Ticks each period, sooner when events wait."""
        while True:
            began_s = self._clock.monotonic_s()
            async with self._ticking:
                if self._holds() and not self.closing:
                    await self._guarded_tick()
            await self._rest(began_s)

    async def finish(self, within_s: float) -> None:
        """Waits until no tick is under way; gives up after `within_s`. No further one begins once nothing is held."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._ticking:
                pass

    async def _rest(self, began_s: float) -> None:
        now_s = self._clock.monotonic_s()
        await asyncio.sleep(max(0.0, began_s + EAGER * self._period_s - now_s))
        left_s = began_s + self._period_s - self._clock.monotonic_s()
        if left_s > 0 and not self._city.heard:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._ingest.heard.wait()
        self._ingest.heard.clear()

    async def _guarded_tick(self) -> None:
        try:
            await self.tick()
        except CityLost as error:
            # The lease will notice as well and have the city dropped; until then nothing is decided.
            self._metrics.refused("not_owner")
            self._log.warning("commit refused", error=str(error))
        except Retryable as error:
            self._log.warning("tick failed", error=str(error))

    async def tick(self) -> None:
        """One round. Raises `CityLost`, `Retryable` and `DoubleAssignment`; nothing has changed then."""
        began_s = self._clock.monotonic_s()
        await self._lessons.before()
        round_ = await self._decide()
        city = self._city
        # Before the commit that takes these events: what riders on loan say is passed on at least once.
        said = messages_to_forward([(event.event_id, event.item) for event in round_.events], city.state)
        if said:
            await self._forward(said)
        changed = bool(round_.decisions.changes) or bool(round_.told)
        if changed:
            await self._commit(round_, (self._clock.monotonic_s() - began_s) * 1000)
        self._make_true(round_, changed=changed)
        ended = [order for order in round_.decisions.changes.orders if order.ended]
        await self._lessons.after(round_.notes, ended, round_.told.outcomes, round_.positions)
        if changed:
            self._count(round_, (self._clock.monotonic_s() - began_s) * 1000)
            self._committed()
            self._wake(round_)
        elif self._clock.monotonic_s() - self._cut_saved_s >= CUT_EVERY_S:
            await self._decision_log.save_cut(city.ownership, city.tick, city.applied(city.taken_offset))
            self._cut_saved_s = self._clock.monotonic_s()
        self.last_tick_s = self._clock.monotonic_s()
        self.ticked.set()

    @property
    def _travel_now(self) -> TravelTimes:
        """The model that the city has learned, where it goes by one."""
        return self._city.travel or self._travel

    async def _decide(self) -> Round:
        city, now_ms = self._city, self._clock.domain_ms()
        events = tuple(islice(city.heard, EVENTS_A_TICK))
        inputs, again = await self._inputs(events, now_ms)
        for event in events:
            if event.seed is not None:
                city.positions.apply(event.seed)
        applied = city.applied(events[-1].offset + 1 if events else city.taken_offset)
        snapshot = city.positions.snapshot(now_ms, city.stale_after_ms)
        seen = snapshot.columns
        positions = Positions(seen.rider_id, seen.lat_e7, seen.lng_e7, snapshot.age_ms)
        draft = Draft(city.state)
        notes = apply(draft, inputs, now_ms, self._params)
        notes += close_expired(draft, positions, now_ms, self._params)
        await self._resequence(draft, positions, now_ms)
        problem, decisions = None, nothing_decided(draft)
        if needs_matching(draft, self._params):
            problem = await asyncio.to_thread(pose, draft, positions, now_ms, self._travel_now, self._params)
            solution = await self._solver.solve(problem, self._params)
            self._count_fallback(solution)
            decisions = await asyncio.to_thread(self._decided, draft, problem, solution)
        etas = await self._etas(draft, decisions, snapshot)
        await asyncio.sleep(0)
        told = update_tracks(city.tracks, notes, decisions, etas, now_ms)
        ignored = self._ignored + again
        return Round(events, now_ms, applied, tuple(notes), decisions, etas, told, problem, ignored, positions)

    async def _resequence(self, draft: Draft, positions: Positions, now_ms: int) -> None:
        """As `dispatch.engine.eta.resequence.resequence`, with the search in the worker."""
        asked = await asyncio.to_thread(questions, draft, positions, now_ms, self._travel_now, self._params)
        if asked:
            orders = await self._solver.orders([question.asked for question in asked])
            rearrange(draft, asked, orders, now_ms, self._params)

    async def _inputs(self, events: tuple[LogEvent, ...], now_ms: int) -> tuple[list[Input], tuple[OrderId, ...]]:
        """The inputs, and which orders' openings are left out because they were opened long ago."""
        state = self._city.state
        inputs = inputs_of(events, state, now_ms)
        old = old_orders(inputs, state, now_ms - round(self._params.offers.forget_s * 500))
        again = await self._decision_log.known(old) if old else set()
        return without(inputs, again), tuple(sorted(again))

    def _decided(self, draft: Draft, problem: Problem, solution: Solution) -> Decisions:
        """Pure; runs in a thread."""
        return decide(draft, problem, solution, f"{self._city.name}-{self._city.tick + 1}", self._params)

    async def _etas(self, draft: Draft, decisions: Decisions, snapshot: PositionSnapshot) -> dict[OrderId, Eta]:
        city = self._city
        busy = {rider.rider_id: rider for rider in draft.riders() if rider.stops}
        riders = self._turns.next_riders(busy, (rider.rider_id for rider in decisions.changes.riders))
        waiting = tuple(order for order in draft.orders() if order.status in WAITING)
        await asyncio.sleep(0)  # Thousands of orders and riders: in one piece this would hold up every fix.
        new = due_open(waiting, city.etas, snapshot.now_ms)
        await asyncio.sleep(0)
        fresh: dict[OrderId, Eta] = {}
        if riders or new:
            asked = question(riders, new, city, draft, snapshot, self._params)
            fresh = await self._solver.etas(city.name, asked, self._params)
        known = (*(o for rider in busy.values() for o in rider.order_ids), *(order.order_id for order in waiting))
        return carried_on(city.etas, fresh, known)

    async def _commit(self, round_: Round, decided_ms: float) -> None:
        city, decisions = self._city, round_.decisions
        solution = decisions.solution
        start = await self._start()
        names = await asyncio.to_thread(_digests, round_)
        record = TickCommit(
            ownership=city.ownership,
            tick=city.tick + 1,
            now_ms=round_.now_ms,
            applied=round_.applied,
            params=self._params,
            travel_version=self._travel_now.version,
            strategy=solution.strategy,
            solver_status=solution.status,
            solver_work=solution.work,
            solver_cost=solution.cost,
            fallback=solution.fallback,
            problem_digest=names[0],
            solution_digest=names[1],
            decisions_digest=names[2],
            ignored=round_.ignored,
            start=start,
            duration_ms=decided_ms,
            changes=decisions.changes,
            holdings=city.holdings.plan(decisions.changes.orders),
            records=decisions.records,
            tracks=round_.told,
        )
        if not self._holds():
            raise CityLost("the lease ran out before the commit")
        began_s = self._clock.monotonic_s()
        try:
            await self._decision_log.commit(record)
        except OutcomeUnknown as error:
            self._log.warning("outcome unknown", tick=record.tick, error=str(error))
            if not await self._asked_committed(record.tick):
                if not self._holds():
                    self._metrics.refused("lease_over")
                raise Retryable("the tick was not committed", reason="NOT_COMMITTED") from error
        except DoubleAssignment:
            self._metrics.refused("double_assignment")
            raise
        self._metrics.commit_ms.observe((self._clock.monotonic_s() - began_s) * 1000)
        city.tick = record.tick
        city.holdings.commit(record.holdings)
        self._cut_saved_s = self._clock.monotonic_s()
        if start is not None:
            self._start_saved_s = self._cut_saved_s

    async def _start(self) -> Start | None:
        """The memory before this tick, now and then."""
        saved_s = self._start_saved_s
        if self.hurried and not self.ticked.is_set():
            return None
        if saved_s is not None and self._clock.monotonic_s() - saved_s < START_EVERY_S:
            return None
        city = self._city
        return Start(city.taken_offset, await asyncio.to_thread(pack_state, city.state))

    async def _asked_committed(self, tick: int) -> bool:
        """Asks until there is an answer; without one nothing may be decided, and the lease ends the wait."""
        while True:
            try:
                return await self._decision_log.committed(self._city.name, tick, self._city.epoch)
            except Retryable:
                await asyncio.sleep(0.2)

    def _make_true(self, round_: Round, *, changed: bool) -> None:
        city = self._city
        self._ignored = () if changed else round_.ignored
        for _ in round_.events:
            city.heard.popleft()
        if round_.events:
            self._ingest.room.set()
            if round_.applied.cut.incarnation == city.read.incarnation:
                city.taken_offset = round_.applied.cut.events_offset
        changes = round_.decisions.changes
        for rider in changes.riders:
            before = city.state.riders.get(rider.rider_id)
            if before is None or before.stops != rider.stops or before.loan != rider.loan:
                city.route_ticks[rider.rider_id] = city.tick
        city.state.commit(changes)
        city.ended.extend(order for order in changes.orders if order.ended)
        city.tracks.update((track.order_id, track) for track in round_.told.tracks)
        for order_id in changes.forgotten:
            city.tracks.pop(order_id, None)
        city.etas = round_.etas
        city.watch_carried()

    def _count_fallback(self, solution: Solution) -> None:
        """At once: a tick that changes nothing is not committed, and its solver failed all the same."""
        if solution.fallback:
            self._city.counters.ticks_fallback += 1
            self._metrics.fallback(solution.fallback)

    def _count(self, round_: Round, took_ms: float) -> None:
        counters, metrics, decisions = self._city.counters, self._metrics, round_.decisions
        counters.tick_ms.append(took_ms)
        metrics.tick_ms.observe(took_ms)
        counters.ticks_committed += 1
        counters.events_taken += len(round_.events)
        counters.offers_made += len(decisions.offers)
        metrics.offers.inc(len(decisions.offers))
        counters.offers_declined += sum(o.status is OfferStatus.DECLINED for o in decisions.changes.offers)
        for note in round_.notes:
            counters.orders_delivered += note.kind is NoteKind.DELIVERED
            metrics.delivered.inc(note.kind is NoteKind.DELIVERED)
            if note.kind in (NoteKind.REFUSED, NoteKind.DUPLICATE):
                counters.events_refused += 1
                metrics.event(note.reason or note.kind)
        for outcome in round_.told.outcomes:
            metrics.eta_error_s.observe(outcome.error_s)
        metrics.open_orders.set(len(self._city.state.orders))
        metrics.riders_online.set(sum(r.online for r in self._city.state.riders.values()))

    def _wake(self, round_: Round) -> None:
        changes = round_.decisions.changes
        orders = {t.order_id for t in round_.told.tracks} | {o.order_id for o in changes.orders}
        riders = {r.rider_id for r in changes.riders} | {o.rider_id for o in changes.offers}
        self._wakes.changed(orders, riders)


def _digests(round_: Round) -> tuple[str, str, str]:
    """Of the problem, the solution, and what was decided. Pure, and long enough to belong in a thread."""
    decisions = round_.decisions
    return digest(round_.problem), digest(decisions.solution), digest((decisions.records, decisions.changes))
