"""ETAs along a plan, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.engine.eta.calibration import Z90, Calibration, Stage
from dispatch.engine.eta.open_order import OpenOrder, Starter, ahead_of, open_eta
from dispatch.engine.eta.plan import LearnedTimes, plan_etas
from dispatch.engine.inputs import PickedUp, RiderArrived
from dispatch.engine.model import OrderId, RiderId
from dispatch.engine.params import EngineParams, EtaParams, OfferParams
from dispatch.engine.travel.planar import PlanarTravel, to_point
from tests.unit.dispatch.engine.small_worlds import METRES_PER_MINUTE, MINUTE_MS, SmallWorld, order, reply

TRAVEL = PlanarTravel(METRES_PER_MINUTE)
SURE = EtaParams(travel_cv=0, kitchen_s=0, kitchen_cv=0, door_s=0, approach_s=0)


def on_the_way(eta: EtaParams = SURE) -> SmallWorld:
    """A rider 5 minutes from the counter has accepted an order, ready at 10, the door 3 minutes further."""
    world = SmallWorld(EngineParams(offers=OfferParams(lead_s=0.0), eta=eta))
    (offer,) = world.tick(4, world.rider(1, at=(1500, 0)), order("a", ready=10)).decisions.offers
    world.tick(4, reply(offer, 4))
    return world


def medians(world: SmallWorld, minute: int, at: tuple[int, int] | None, pace: float = 1.0) -> list[float]:
    """Medians of all stops in minutes."""
    position = None if at is None else to_point(*at)
    known = LearnedTimes(pace={RiderId(1): pace})
    etas = plan_etas(world.rider_now(1), position, world.state.orders, minute * MINUTE_MS, TRAVEL, world.params, known)
    return [e.median_ms / MINUTE_MS for e in etas]


def test_a_punctual_rider_waits_for_the_kitchen() -> None:
    """Pickup when ready, then half a service, three minutes, half a service."""
    assert medians(on_the_way(), 4, (1500, 0)) == [10.0, 15.0]


def test_a_late_rider_is_seen_by_its_position() -> None:
    """Two minutes lost on the way come out at the door."""
    assert medians(on_the_way(), 6, (1500, 0)) == [12.0, 17.0]


def test_a_slow_rider_is_known_by_its_past() -> None:
    """A rider who takes twice as long: five minutes are ten, three are six."""
    assert medians(on_the_way(), 6, (1500, 0), pace=2.0) == [17.0, 25.0]


def test_without_a_position_the_plan_counts() -> None:
    """The expected arrival stands in for the position."""
    assert medians(on_the_way(), 6, None) == [10.0, 15.0]


def test_at_the_counter_there_is_no_way_left() -> None:
    """Wherever the fix says the rider is, it has arrived."""
    world = on_the_way()
    world.tick(8, RiderArrived(8 * MINUTE_MS, RiderId(1)))
    assert medians(world, 8, (600, 0)) == [10.0, 15.0]


def test_on_board_only_the_drop_is_left() -> None:
    """Half way to the door."""
    world = on_the_way()
    world.tick(10, PickedUp(10 * MINUTE_MS, RiderId(1), (OrderId("a"),)))
    assert medians(world, 12, (300, 0)) == [15.0]


def test_a_rider_who_has_just_picked_up_leaves_after_half_a_service() -> None:
    """At the counter with the food in hand: one more minute there, three of way, one at the door."""
    world = on_the_way()
    world.tick(10, PickedUp(10 * MINUTE_MS, RiderId(1), (OrderId("a"),)))
    assert medians(world, 10, (0, 0)) == [15.0]


def test_spread_grows_along_the_plan() -> None:
    """By hand, food ready: 2 minutes' way and a counter, 3 minutes' way and a door."""
    eta = EtaParams()
    world = on_the_way(eta)
    pickup, drop = plan_etas(
        world.rider_now(1), to_point(600, 0), world.state.orders, 12 * MINUTE_MS, TRAVEL, world.params
    )
    at_counter = (eta.travel_cv * 120) ** 2 + eta.door_s**2
    at_door = at_counter + (eta.travel_cv * 180) ** 2 + eta.door_s**2
    assert pickup.p90_ms - pickup.median_ms == pytest.approx(Z90 * at_counter**0.5 * 1000, abs=2)
    assert drop.p90_ms - drop.median_ms == pytest.approx(Z90 * at_door**0.5 * 1000, abs=2)


def test_stages_follow_the_plan() -> None:
    """Before the pickup every stop is an assigned order's, after it the door is a carried one's."""
    world = on_the_way()
    etas = plan_etas(world.rider_now(1), None, world.state.orders, 4 * MINUTE_MS, TRAVEL, world.params)
    assert [e.quote.stage for e in etas] == [Stage.ASSIGNED, Stage.ASSIGNED]
    world.tick(10, PickedUp(10 * MINUTE_MS, RiderId(1), (OrderId("a"),)))
    (door,) = plan_etas(world.rider_now(1), None, world.state.orders, 10 * MINUTE_MS, TRAVEL, world.params)
    assert door.quote.stage is Stage.CARRIED


def test_a_bicycle_is_slower() -> None:
    """The pace of the vehicle stretches every way."""
    world = on_the_way()
    rider = replace(world.rider_now(1), vehicle="bicycle")  # type: ignore[arg-type]
    now_ms = 6 * MINUTE_MS
    etas = plan_etas(rider, to_point(1500, 0), world.state.orders, now_ms, TRAVEL, world.params)
    assert etas[0].median_ms == now_ms + (5 * 60 * 1.4 + 60) * 1000


def open_minutes(now: int, starters: tuple[Starter, ...], ahead: int = 0) -> float:
    """The median for an order at the counter (0, 0), ready at 10, the door three minutes further."""
    asked = OpenOrder(to_point(0, 0), to_point(900, 0), 10 * MINUTE_MS, starters, ahead)
    return open_eta(asked, now * MINUTE_MS, TRAVEL, EngineParams(eta=SURE), Calibration()).quote.median_ms / MINUTE_MS


def test_an_open_order_has_an_eta_too() -> None:
    """Ready at 10: at the door five minutes later, as somebody is near; later, when the rider is what is missing."""
    near = Starter(to_point(1500, 0))
    assert open_minutes(0, (near,)) == 15
    assert open_minutes(20, (near,)) == 20 + 5 + 1 + 5


def test_an_open_order_waits_for_the_rider_who_is_not_needed_elsewhere() -> None:
    """The nearest of two goes to an older order; nobody in sight is ten minutes by the parameters."""
    two = (Starter(to_point(300, 0)), Starter(to_point(3000, 0), free_s=60))
    assert open_minutes(20, two) == 20 + 1 + 6
    assert open_minutes(20, two, ahead=1) == 20 + 11 + 6
    assert open_minutes(20, ()) == 20 + 10 + 6
    assert [ahead_of(waiting, 16, 8) for waiting in (0, 1, 2, 7, 40)] == [0, 0, 1, 3, 20]
