"""Decisions and their time: late commitment, bundles on the way, records."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.engine.inputs import OrderReadyChanged
from dispatch.engine.model import OrderId, OrderStatus, RiderId, StopKind
from dispatch.engine.params import EngineParams, OfferParams
from tests.unit.dispatch.engine.small_worlds import MINUTE_MS, SmallWorld, order, reply


def test_an_order_is_offered_when_its_rider_must_leave() -> None:
    """Ready at 20, five minutes away, one minute of service before the handover: offered at 14, not at 13."""
    world = SmallWorld()
    world.tick(0, world.rider(1, at=(1500, 0)), order("a", ready=20))
    for minute in range(1, 14):
        assert world.tick(minute).decisions.offers == ()
    (offer,) = world.tick(14).decisions.offers
    pickup, drop = offer.stops
    assert (pickup.arrive_ms, pickup.done_ms, pickup.leave_ms) == tuple(m * MINUTE_MS for m in (19, 20, 21))
    assert (drop.arrive_ms, drop.done_ms, drop.leave_ms) == tuple(m * MINUTE_MS for m in (24, 25, 26))


def test_lead_time_brings_the_offer_forward() -> None:
    """With three minutes of lead the offer comes three minutes earlier."""
    world = SmallWorld(params=EngineParams(offers=OfferParams(lead_s=180.0)))
    world.tick(0, world.rider(1, at=(1500, 0)), order("a", ready=20))
    assert world.tick(10).decisions.offers == ()
    assert len(world.tick(11).decisions.offers) == 1


def test_a_better_rider_may_turn_up_before_the_commitment() -> None:
    """The order waits uncommitted, so a rider who comes online next door gets it."""
    world = SmallWorld()
    world.tick(0, world.rider(1, at=(3000, 0)), order("a", ready=20))
    world.tick(5, world.rider(2, at=(300, 0)))
    offers = [o for minute in range(6, 21) for o in world.tick(minute).decisions.offers]
    assert offers[0].rider_id == RiderId(2)


def test_a_later_kitchen_moves_the_offer() -> None:
    """When the food takes longer the rider leaves later."""
    world = SmallWorld()
    world.tick(0, world.rider(1), order("a", ready=10))
    world.tick(1, OrderReadyChanged(MINUTE_MS, OrderId("a"), 30 * MINUTE_MS))
    assert world.tick(9).decisions.offers == ()
    assert len(world.tick(29).decisions.offers) == 1


def test_an_order_joins_a_rider_on_its_way() -> None:
    """Another order of the same counter and the same street joins; the plan then has one pickup and two drops."""
    world = SmallWorld()
    world.params = replace(world.params, rebundle=True)
    (offer,) = world.tick(0, world.rider(1, at=(3000, 0)), order("a", ready=0)).decisions.offers
    result = world.tick(1, reply(offer, 1), order("b", to=(910, 0), ready=1))
    (joining,) = result.decisions.offers
    assert joining.joins
    assert joining.order_ids == ("b",)
    world.tick(2, reply(joining, 2))
    kinds = [s.kind for s in world.rider_now(1).stops]
    assert kinds == [StopKind.PICKUP, StopKind.DROP, StopKind.DROP]
    assert world.rider_now(1).load == 2


@pytest.mark.parametrize(("churn_s", "moved"), [(60.0, True), (10_000.0, False)])
def test_an_accepted_order_moves_only_if_it_is_worth_the_price(churn_s: float, moved: bool) -> None:
    """Only the first rider can carry the big order; it swaps the small one for it unless that costs too much."""
    world = SmallWorld()
    world.params = replace(world.params, rebundle=True, cost=replace(world.params.cost, churn_s=churn_s))
    (offer,) = world.tick(0, world.rider(1, at=(3000, 0), capacity=2), order("a", ready=0)).decisions.offers
    inputs = (reply(offer, 1), world.rider(2, capacity=1), order("big", ready=1, size=2))
    decisions = world.tick(1, *inputs).decisions
    assert decisions.released == ((("a", RiderId(1)),) if moved else ())
    assert {o.order_ids for o in decisions.offers} == ({("a",), ("big",)} if moved else set())


def test_a_rider_with_an_offer_on_the_screen_is_left_alone() -> None:
    """One live offer a rider; the second order waits."""
    world = SmallWorld(params=EngineParams(offers=OfferParams(lead_s=0.0, timeout_s=600.0)))
    world.tick(10, world.rider(1), order("a"))
    assert world.tick(11, order("b", ready=11)).decisions.offers == ()
    assert world.status("b") is OrderStatus.OPEN


def test_stale_and_absent_riders_are_not_asked() -> None:
    """A rider whose last fix is old, or who has none, gets no offer."""
    world = SmallWorld()
    world.age_ms = 61_000
    assert world.tick(10, world.rider(1), order("a")).decisions.offers == ()
    world.age_ms = 60_000
    assert len(world.tick(11).decisions.offers) == 1
    world = SmallWorld()
    online = world.rider(1)
    world.places.clear()
    assert world.tick(10, online, order("a")).decisions.offers == ()


@pytest.mark.parametrize(("off", "asked"), [(19, False), (20, True)])
def test_no_pickup_after_the_shift(off: int, asked: bool) -> None:
    """A pickup at 20 is for riders on shift at 20."""
    world = SmallWorld()
    world.tick(0, world.rider(1, off=off), order("a", ready=20))
    offers = [o for minute in range(1, 22) for o in world.tick(minute).decisions.offers]
    assert bool(offers) is asked


def test_capacity_bounds_the_bundle() -> None:
    """Two orders of size two do not go to a rider who carries three."""
    world = SmallWorld()
    (offer,) = world.tick(
        10, world.rider(1, capacity=3), order("a", size=2), order("b", to=(910, 0), size=2)
    ).decisions.offers
    assert len(offer.order_ids) == 1


def test_records_add_up_and_name_the_others() -> None:
    """Terms sum to the cost; the rider not chosen is named with a higher cost."""
    world = SmallWorld()
    result = world.tick(10, world.rider(1, at=(300, 0)), world.rider(2, at=(1500, 0)), order("a"))
    (record,) = result.decisions.records
    assert record.rider_id == RiderId(1)
    assert sum(v for _, v in record.terms) == pytest.approx(record.cost, abs=0.01)
    assert record.candidates == 2
    ((order_id, (other,)),) = record.alternatives
    assert (order_id, other.rider_id) == ("a", RiderId(2))
    assert other.cost > record.cost
