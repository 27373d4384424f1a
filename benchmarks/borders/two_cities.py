"""Replay one instance cut in two cities, each with an engine of its own, in virtual time.

An order belongs to the city of its restaurant, a courier to the city in which it starts. Each minute either city may
borrow couriers that the other can spare; live this takes two or three ticks of a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from dispatch.borders.borrow_choice import pose_jointly, riders_to_borrow, shared_view
from dispatch.engine.apply import apply
from dispatch.engine.decide import Decisions
from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderOpened,
    PickedUp,
    Positions,
    RiderBorrowed,
    RiderLent,
    RiderOffline,
    RiderOnline,
    RiderReturned,
)
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import Loan, LoanState, Rider, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.state import CityState, Draft
from dispatch.engine.tick import run_matching
from simulator.replay.history import History
from simulator.replay.instance import Instance, Xy
from simulator.replay.world import MINUTE_MS, ReplayWorld

Axis = Literal["x", "y"]


@dataclass(frozen=True, slots=True)
class Cut:
    """A straight border: places below `at_m` metres along the axis are in city 0, others in city 1."""

    axis: Axis
    at_m: int

    def side(self, place: Xy) -> int:
        """The city of a place."""
        return int(place[0 if self.axis == "x" else 1] >= self.at_m)


def middle(instance: Instance, axis: Axis) -> Cut:
    """The cut with half of the orders' restaurants on either side."""
    along = sorted(instance.restaurants[order.restaurant][0 if axis == "x" else 1] for order in instance.orders)
    return Cut(axis, along[len(along) // 2])


@dataclass(slots=True)
class _Side:
    """One of the two cities."""

    state: CityState = field(default_factory=CityState)
    inbox: list[Input] = field(default_factory=list)


class _Post(list[Input]):
    """Takes what happens to the city that must hear of it."""

    def __init__(self, world: TwoCities) -> None:
        self._world = world

    def append(self, item: Input) -> None:
        self._world.post(item)


class TwoCities(ReplayWorld):
    """The day of an instance in two cities."""

    def __init__(self, instance: Instance, params: EngineParams, cut: Cut, *, borrowing: bool) -> None:
        super().__init__(instance, params)
        self.cut, self.borrowing = cut, borrowing
        self.sides = (_Side(), _Side())
        self.home = {body.rider_id: cut.side(body.courier.xy) for body in self.bodies}
        self.works: dict[RiderId, int] = dict(self.home)
        self.inbox = _Post(self)
        self.loans = 0

    def post(self, item: Input) -> None:
        """An input to the log of its city; what a rider on loan says goes to the borrower, its shift to both."""
        if isinstance(item, OrderOpened):
            self.sides[self.cut.side(self.places[item.restaurant_id])].inbox.append(item)
        elif isinstance(item, RiderOnline):
            self.sides[self.home[item.rider_id]].inbox.append(item)
        elif isinstance(item, RiderOffline):
            for side in sorted({self.home[item.rider_id], self.works[item.rider_id]}):
                self.sides[side].inbox.append(item)
        elif isinstance(item, PickedUp | Delivered | OfferReplied):
            self.sides[self.works[item.rider_id]].inbox.append(item)

    def minute(self, now: int) -> None:
        """One minute of both cities."""
        self._happen(now)
        positions = self._positions()
        if self.borrowing:
            self._lend(now, positions)
        for number in (0, 1):
            self._obey(now, self._tick(number, now, positions))

    def _tick(self, number: int, now: int, positions: Positions) -> Decisions:
        side = self.sides[number]
        result = run_matching(
            side.state, side.inbox, positions, now * MINUTE_MS, self.travel, self.params, f"{number}-{now}"
        )
        side.state.commit(result.decisions.changes)
        side.inbox.clear()
        for rider in result.decisions.changes.riders:
            if rider.returned and self.works[rider.rider_id] == number:
                self._send_home(rider, now)
        return result.decisions

    def _draft(self, number: int, now: int) -> Draft:
        """The city as the next tick will find it."""
        draft = Draft(self.sides[number].state)
        apply(draft, self.sides[number].inbox, now * MINUTE_MS, self.params)
        return draft

    def _lend(self, now: int, positions: Positions) -> None:
        views = [shared_view(self._draft(number, now), positions) for number in (0, 1)]
        for number in (0, 1):
            problem = pose_jointly(
                self._draft(number, now), positions, views[1 - number], now * MINUTE_MS, self.travel, self.params
            )
            for rider in riders_to_borrow(problem, solve(problem, self.params), views[1 - number], self.params):
                self._move(rider, number, now)

    def _move(self, rider: Rider, borrower: int, now: int) -> None:
        now_ms = now * MINUTE_MS
        self.loans += 1
        loan = Loan(
            loan_id=f"{borrower}-{self.loans}",
            home=str(1 - borrower),
            borrower=str(borrower),
            borrower_partition=borrower,
            borrower_epoch=1,
            lent_ms=now_ms,
            until_ms=now_ms + round(self.params.loans.max_s * 1000),
            state=LoanState.LENT,
        )
        self.works[rider.rider_id] = borrower
        self.sides[1 - borrower].inbox.append(RiderLent(now_ms, rider.rider_id, loan))
        self.sides[borrower].inbox.append(
            RiderBorrowed(
                at_ms=now_ms,
                rider_id=rider.rider_id,
                loan=replace(loan, state=LoanState.BORROWED),
                free_ms=rider.free_ms,
                shift_end_ms=rider.shift_end_ms,
                capacity=rider.capacity,
                vehicle=rider.vehicle,
                zone=rider.zone,
            )
        )

    def _send_home(self, rider: Rider, now: int) -> None:
        assert rider.loan is not None
        home = self.works[rider.rider_id] = self.home[rider.rider_id]
        back = RiderReturned(now * MINUTE_MS, rider.rider_id, rider.loan.loan_id, rider.rested_ms)
        self.sides[home].inbox.append(back)


def replay_cut(instance: Instance, params: EngineParams, cut: Cut, *, borrowing: bool) -> tuple[History, int]:
    """The day in two cities, and how many loans there were."""
    world = TwoCities(instance, params, cut, borrowing=borrowing)
    return world.run(), world.loans
