"""Lending a rider to the neighbour, over crashes of either owner at any moment: nobody is lost or loaded twice."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dispatch.engine.model import LoanState, OrderStatus, StopKind
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.dispatch.borders.two_cities import BORROWER, HOME, TwoCities

RIDERS = (1, 2)


async def _world(riders: int = 1) -> TwoCities:
    world = TwoCities()
    for city in (HOME, BORROWER):
        await world.take(city)
    for rider in range(1, riders + 1):
        await world.status(rider, link.RIDER_STATUS_ONLINE)
        await world.fix(rider, -50 - rider)
    await world.tick(HOME)
    return world


async def _offered_to_the_neighbours_rider() -> TwoCities:
    world = await _world()
    await world.open_order(BORROWER, "pizza", -44)
    await world.tick(BORROWER)
    for _ in range(4):
        for city in (BORROWER, HOME):
            await world.step(city)
            await world.tick(city)
    return world


async def test_a_rider_is_borrowed_used_and_sent_home() -> None:
    """Lent by its own city, offered the neighbour's order, heard through its own city, free again at the end."""
    world = await _offered_to_the_neighbours_rider()
    lent, borrowed = world.rider(HOME, 1), world.rider(BORROWER, 1)
    assert lent is not None
    assert borrowed is not None
    assert lent.lent
    assert borrowed.borrowed
    (offer,) = world.offers()
    assert offer.order_ids == ("pizza",)
    await world.reply(offer, accepted=True)
    await world.status(1, link.RIDER_STATUS_PICKED_UP, "pizza")
    await world.status(1, link.RIDER_STATUS_DELIVERED, "pizza")
    await world.tick(HOME)
    await world.tick(BORROWER)
    assert world.waiting() == []
    (record,) = await world.book.explain(BORROWER, next(iter(world.book.orders)))
    assert f'"borrowed_from":"{HOME}"' in record
    for _ in range(15):
        for city in (BORROWER, HOME):
            await world.tick(city)
            await world.step(city)
    back = world.rider(HOME, 1)
    assert back is not None
    assert back.loan is None
    assert back.online


async def test_an_unused_rider_is_home_within_the_idle_time() -> None:
    """The order is cancelled before the rider answers: the loan ends by itself."""
    world = await _offered_to_the_neighbours_rider()
    for _ in range(30):
        for offer in world.offers():
            await world.reply(offer, accepted=False)
        for city in (HOME, BORROWER):
            await world.tick(city)
            await world.step(city)
        rider = world.rider(HOME, 1)
        if rider is not None and rider.loan is None:
            return
    pytest.fail("the rider did not come home")


async def test_a_loan_to_an_owner_that_is_gone_returns_at_once() -> None:
    """The borrower is taken over between the question and the grant: the rider is lent and returned in one commit."""
    world = await _world()
    await world.open_order(BORROWER, "pizza", -44)
    await world.tick(BORROWER)
    await world.step(BORROWER)
    world.epochs[BORROWER] += 1
    await world.tick(HOME)
    (row,) = world.book.rows.values()
    assert row.returned
    await world.step(HOME)
    await world.tick(HOME)
    rider = world.rider(HOME, 1)
    assert rider is not None
    assert rider.loan is None


class Lending(RuleBasedStateMachine):
    """Two cities, two riders of one of them, apps that answer as they like, owners that die as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.orders = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @initialize()
    def begin(self) -> None:
        self.world: TwoCities = self.do(_world(len(RIDERS)))

    @precondition(lambda self: self.orders < 4)
    @rule(city=st.sampled_from((HOME, BORROWER)), north=st.integers(0, 3))
    def order(self, city: str, north: int) -> None:
        self.orders += 1
        at = -44 + north if city == BORROWER else -52 - north
        self.do(self.world.open_order(city, f"order-{self.orders}", at))

    @rule(city=st.sampled_from((HOME, BORROWER)))
    def tick(self, city: str) -> None:
        self.do(self.world.tick(city))

    @rule(city=st.sampled_from((HOME, BORROWER)))
    def step(self, city: str) -> None:
        self.do(self.world.step(city))

    @rule(city=st.sampled_from((HOME, BORROWER)))
    def die(self, city: str) -> None:
        self.world.owners.pop(city, None)

    @rule(city=st.sampled_from((HOME, BORROWER)))
    def take_over(self, city: str) -> None:
        self.do(self.world.take(city))

    @rule(accepted=st.booleans())
    def answer(self, accepted: bool) -> None:
        for offer in self.world.offers():
            self.do(self.world.reply(offer, accepted=accepted))

    @rule()
    def work(self) -> None:
        """Apps say that they did the next stop of the plan they know."""
        for owner in self.world.owners.values():
            for rider in owner.runner.city.state.riders.values():
                if rider.lent or not rider.stops:
                    continue
                kind = link.RIDER_STATUS_DELIVERED
                if rider.stops[0].kind is StopKind.PICKUP:
                    kind = link.RIDER_STATUS_PICKED_UP
                for order_id in rider.stops[0].order_ids:
                    self.do(self.world.status(rider.rider_id, kind, order_id))

    @invariant()
    def nobody_is_held_twice(self) -> None:
        """By what is committed: slots are unique over both cities (the book raises otherwise), loans too."""
        if not hasattr(self, "world"):
            return
        riders = [row.rider.rider_id for row in self.world.book.rows.values()]
        assert len(riders) == len(set(riders))
        holders = [(h.rider_id, city) for city, h in self.world.book.holdings.values()]
        assert len({rider for rider, _ in holders}) == len(set(holders)), "a rider works for two cities"

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.do(self._everything_ends())
        self.runner.close()

    async def _everything_ends(self) -> None:
        """With owners that live and apps that accept: every order is delivered, every rider is back."""
        world = self.world
        for city in (HOME, BORROWER):
            await world.take(city)
        for _ in range(80):
            for rider in RIDERS:
                await world.fix(rider, -48)
            for city in (HOME, BORROWER):
                await world.tick(city)
                await world.step(city)
            for offer in world.offers():
                await world.reply(offer, accepted=True)
            for owner in list(world.owners.values()):
                for rider_of in owner.runner.city.state.riders.values():
                    if rider_of.stops and not rider_of.lent:
                        stop = rider_of.stops[0]
                        picks = stop.kind is StopKind.PICKUP
                        kind = link.RIDER_STATUS_PICKED_UP if picks else link.RIDER_STATUS_DELIVERED
                        for order_id in stop.order_ids:
                            await world.status(rider_of.rider_id, kind, order_id)
            home = [world.rider(HOME, rider) for rider in RIDERS]
            opened = len(world.book.orders) == self.orders
            if opened and not world.waiting() and all(r is not None and r.loan is None for r in home):
                break
        assert world.waiting() == []
        for rider in RIDERS:
            own = world.rider(HOME, rider)
            assert own is not None
            assert own.loan is None, f"rider {rider} is lost"
            assert own.online
        assert all(row.returned for row in world.book.rows.values())
        assert {o.status for o in world.book.orders.values()} <= {OrderStatus.DELIVERED}
        assert LoanState.LENT not in {r.loan.state for r in home if r is not None and r.loan is not None}


Lending.TestCase.settings = settings(
    max_examples=5,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLending = Lending.TestCase
