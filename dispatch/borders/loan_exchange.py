"""Lend riders to and borrow riders from neighbouring cities, beside the ticks of one city.

    borrower                                    home city
    joint plan wants a rider      ── Lend ──>   event `lent` into its own log
                                                tick: rider lent, row in dispatch.loans      (one transaction)
    finds the row: event `borrowed`
      into its own log                          passes on what the rider says and where it is
    tick: rider borrowed; offers, drops
    tick: nothing to do: rider returned, row marked (one transaction)
                                                finds the mark: event `returned` into its own log
                                                tick: rider is its own again; the row is forgotten

Each arrow is repeated until its effect is seen, under the same id; so either owner may die anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from dispatch.borders.borrow_choice import (
    SharedView,
    join_views,
    may_be_lent,
    pose_jointly,
    riders_to_borrow,
    shared_view,
)
from dispatch.borders.ports import BorderLogs, LoanBook, LoanRow, Neighbours
from dispatch.borders.reach import NeighbourReach
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Loan, LoanState, Rider, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.state import Draft
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import Announcements
from dispatch.shard.solver import Solving
from node.clock import Clock
from node.errors import FornoError
from node.retry import every, warned

#: Loans are looked through, and positions of lent riders passed on, this often, wall seconds.
STEP_S = 0.5
#: Riders of the neighbours are asked for this often while an order waits, wall seconds.
BORROW_EVERY_S = 2.0
#: An event is written again when nothing has come of it for so long, and a rider asked for again; wall seconds.
AGAIN_S = 5.0
#: A loan that is over is forgotten so long after its rider was seen back, wall seconds: longer than a tick takes.
FORGET_S = 30.0


@dataclass(frozen=True, slots=True)
class LoanDependencies:
    """Dependencies of the loans of all cities of a shard."""

    book: LoanBook
    logs: BorderLogs
    neighbours: Neighbours
    announcements: Announcements
    solver: Solving
    params: EngineParams
    clock: Clock


class LoanExchange:
    """The loans of one city, given and taken. Changes nothing of the city but by its log."""

    def __init__(
        self,
        city: LiveCity,
        dependencies: LoanDependencies,
        reach: Callable[[], NeighbourReach],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._city = city
        self._reach = reach
        self._book = dependencies.book
        self._logs = dependencies.logs
        self._neighbours = dependencies.neighbours
        self._announcements = dependencies.announcements
        self._solver = dependencies.solver
        self._travel = dependencies.solver.travel_of(city.name)
        self._params = dependencies.params
        self._clock = dependencies.clock
        self._log = log
        #: When an event about each loan was written last.
        self._written_s: dict[str, float] = {}
        #: When the rider of each loan was first seen back.
        self._back_s: dict[str, float] = {}
        #: When each rider was asked for last.
        self._asked_s: dict[RiderId, float] = {}
        #: Session and sequence number of the last fix passed on, by rider.
        self._passed: dict[int, tuple[int, int]] = {}
        #: Offer and stops of each borrowed rider, as its home city was woken for last.
        self._woken_for: Mapping[RiderId, tuple[object, ...]] = {}
        #: When neighbours were last asked for riders.
        self._borrowed_s = 0.0

    async def run(self) -> None:
        """Run a step every `STEP_S` until cancelled; what fails is tried again with the next step."""
        await every(STEP_S, self.step, warned(self._log, "borders wait"), first_s=STEP_S)

    async def step(self) -> None:
        """Do each part of the exchange once. Raises `Retryable`."""
        await self.take_up()
        await self.take_back()
        await self.pass_fixes()
        await self.wake_homes()
        if self._clock.monotonic_s() - self._borrowed_s >= BORROW_EVERY_S:
            self._borrowed_s = self._clock.monotonic_s()
            await self.borrow()

    async def take_up(self) -> None:
        """Write riders that were granted to this city into its log."""
        for row in await self._book.of_borrower(self._city.name):
            known = self._city.state.riders.get(row.rider.rider_id)
            mine = known is not None and known.loan is not None and known.loan.loan_id == row.loan.loan_id
            if mine and known is not None and known.returned:
                await self._book.give_back(row.loan.loan_id, known.rested_ms)
            elif not mine and self._may_write(row.loan.loan_id):
                await self._logs.granted(row.rider, replace(row.loan, state=LoanState.BORROWED))

    async def take_back(self) -> None:
        """Write riders of this city whose loan is over into its log; forget loans whose riders are back."""
        now_s = self._clock.monotonic_s()
        for row in await self._book.of_home(self._city.name):
            if self._is_lent(row):
                if self._may_write(row.loan.loan_id):
                    partition = self._city.ownership.partition
                    await self._logs.ended(partition, row.rider.rider_id, row.loan, row.free_ms)
            elif now_s - self._back_s.setdefault(row.loan.loan_id, now_s) >= FORGET_S:
                await self._book.forget(row.loan.loan_id)
                del self._back_s[row.loan.loan_id]

    async def pass_fixes(self) -> None:
        """Pass the newest positions of riders of this city on loan on to their borrowers' logs."""
        lent = {int(r.rider_id): r.loan for r in self._city.state.riders.values() if r.lent and r.loan is not None}
        self._passed = {rider: fix for rider, fix in self._passed.items() if rider in lent}
        if not lent:
            return
        fixes, _, seen = self._city.ingested.positions.positions_of(np.array(sorted(lent), np.uint64), 0)
        names = zip(fixes.rider_id.tolist(), fixes.session.tolist(), fixes.seq.tolist(), seen.tolist(), strict=True)
        for row, (rider, session, seq, known) in enumerate(names):
            loan = lent[rider]
            if known and loan is not None and self._passed.get(rider) != (session, seq):
                await self._logs.fixes(loan, fixes.take(np.array([row])))
                self._passed[rider] = (session, seq)

    async def wake_homes(self) -> None:
        """Wake the home cities of riders borrowed here whose offer or plan changed; a lost wake costs a second."""
        now = {rider.rider_id: rider for rider in self._city.state.riders.values() if rider.borrowed}
        plans = {rider_id: (rider.offer_id, rider.stops) for rider_id, rider in now.items()}
        changed = [rider_id for rider_id, plan in plans.items() if self._woken_for.get(rider_id) != plan]
        self._woken_for = plans
        homes = {loan.home for rider_id in changed if (loan := now[rider_id].loan) is not None}
        for home in sorted(homes):
            # Epoch 0: it is not the home city's owner that speaks.
            await self._announcements.wake(home, 0, [], changed)

    async def borrow(self) -> None:
        """Ask the neighbours for riders that the joint plan would send out now."""
        city = self._city
        neighbours = self._reach().neighbours(city.name)
        if not neighbours or not any(order.matchable for order in city.state.orders.values()):
            return
        views = await self._views(neighbours)
        theirs = join_views(views.values())
        if not any(may_be_lent(rider) for rider in theirs.riders):
            return
        now_ms = self._clock.domain_ms()
        draft, positions = Draft(city.state), _positions(city, now_ms)
        problem = await asyncio.to_thread(pose_jointly, draft, positions, theirs, now_ms, self._travel, self._params)
        solution = await self._solver.solve(problem, self._params)
        home = {rider.rider_id: name for name, shared_view in views.items() for rider in shared_view.riders}
        for rider in riders_to_borrow(problem, solution, theirs, self._params):
            await self._ask_for(rider, home[rider.rider_id], now_ms)

    async def _views(self, neighbours: Sequence[str]) -> dict[str, SharedView]:
        views = {}
        for name in neighbours:
            try:
                views[name] = await self._neighbours.view(name, self._city.name)
            except FornoError as error:  # next door is nobody just now, or not on the map: do without
                self._log.debug("no view", neighbour=name, error=str(error))
        return views

    async def _ask_for(self, rider: Rider, home: str, now_ms: int) -> None:
        now_s, own = self._clock.monotonic_s(), self._city.ownership
        if now_s - self._asked_s.get(rider.rider_id, -AGAIN_S) < AGAIN_S:
            return
        self._asked_s[rider.rider_id] = now_s
        loan = Loan(
            loan_id=f"{own.city}.{own.epoch}.{rider.rider_id}.{now_ms}",
            home=home,
            borrower=own.city,
            borrower_partition=own.partition,
            borrower_epoch=own.epoch,
            lent_ms=now_ms,
            until_ms=now_ms + round(self._params.loans.max_s * 1000),
            state=LoanState.LENT,
        )
        if await self._neighbours.lend(rider.rider_id, loan):
            self._log.info("rider asked for", rider=rider.rider_id, home=home, loan=loan.loan_id)

    def _is_lent(self, row: LoanRow) -> bool:
        rider = self._city.state.riders.get(row.rider.rider_id)
        return rider is not None and rider.lent and rider.loan is not None and rider.loan.loan_id == row.loan.loan_id

    def _may_write(self, loan_id: str) -> bool:
        """Note that an event about a loan is written; False if one was written less than `AGAIN_S` ago."""
        now_s = self._clock.monotonic_s()
        self._written_s = {known: at_s for known, at_s in self._written_s.items() if now_s - at_s < AGAIN_S}
        return self._written_s.setdefault(loan_id, now_s) == now_s


def _positions(city: LiveCity, now_ms: int) -> Positions:
    return Positions.of(city.ingested.positions.snapshot(now_ms, city.stale_after_ms))


def view_for(city: LiveCity, borrower: str, reach: NeighbourReach, now_ms: int) -> SharedView:
    """The part of a city that a neighbour may see."""
    return reach.within_reach(borrower, shared_view(Draft(city.state), _positions(city, now_ms)))
