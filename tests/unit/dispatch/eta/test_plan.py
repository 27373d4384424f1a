"""ETAs along a plan, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.eta.plan import Z90, open_eta, plan_etas
from dispatch.inputs import PickedUp, RiderArrived
from dispatch.model import OrderId, RiderId
from dispatch.travel.planar import PlanarTravel, to_point
from tests.unit.dispatch.small_worlds import METRES_PER_MINUTE, MINUTE_MS, SmallWorld, order, reply

TRAVEL = PlanarTravel(METRES_PER_MINUTE)


def on_the_way() -> SmallWorld:
    """A rider 5 minutes from the counter has accepted an order, ready at 10, the door 3 minutes further."""
    world = SmallWorld()
    (offer,) = world.tick(4, world.rider(1, at=(1500, 0)), order("a", ready=10)).decisions.offers
    world.tick(4, reply(offer, 4))
    return world


def medians(world: SmallWorld, minute: int, at: tuple[int, int] | None) -> list[float]:
    """Medians of all stops in minutes."""
    position = None if at is None else to_point(*at)
    etas = plan_etas(world.rider_now(1), position, world.state.orders, minute * MINUTE_MS, TRAVEL, world.params)
    return [e.median_ms / MINUTE_MS for e in etas]


def test_a_punctual_rider_waits_for_the_kitchen() -> None:
    """Pickup when ready, then half a service, three minutes, half a service."""
    assert medians(on_the_way(), 4, (1500, 0)) == [10.0, 15.0]


def test_a_late_rider_is_seen_by_its_position() -> None:
    """Two minutes lost on the way come out at the door."""
    assert medians(on_the_way(), 6, (1500, 0)) == [12.0, 17.0]


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


def test_spread_grows_along_the_plan_and_with_the_kitchen() -> None:
    """By hand: 5 minutes' way, kitchen, two doors, 3 minutes' way."""
    world = on_the_way()
    eta = world.params.eta
    pickup, drop = plan_etas(
        world.rider_now(1), to_point(1500, 0), world.state.orders, 4 * MINUTE_MS, TRAVEL, world.params
    )
    at_counter = (eta.travel_cv * 300) ** 2 + eta.door_s**2 + eta.kitchen_s**2
    at_door = at_counter + (eta.travel_cv * 180) ** 2 + eta.door_s**2
    assert pickup.p90_ms - pickup.median_ms == pytest.approx(Z90 * at_counter**0.5 * 1000, abs=1)
    assert drop.p90_ms - drop.median_ms == pytest.approx(Z90 * at_door**0.5 * 1000, abs=1)


def test_a_bicycle_is_slower() -> None:
    """The pace of the vehicle stretches every way."""
    world = on_the_way()
    rider = replace(world.rider_now(1), vehicle="bicycle")  # type: ignore[arg-type]
    now_ms = 6 * MINUTE_MS
    etas = plan_etas(rider, to_point(1500, 0), world.state.orders, now_ms, TRAVEL, world.params)
    assert etas[0].median_ms == now_ms + (5 * 60 * 1.4 + 60) * 1000


def test_an_open_order_has_an_eta_too() -> None:
    """Ready at 10: handed over at 10, at the door five minutes later; already late, from a usual approach."""
    world = SmallWorld()
    world.tick(0, order("a", ready=10))
    early = open_eta(world.order("a"), 0, TRAVEL, world.params)
    assert early.median_ms == 15 * MINUTE_MS
    late = open_eta(world.order("a"), 20 * MINUTE_MS, TRAVEL, world.params)
    assert late.median_ms == (20 + 5 + 1 + 5) * MINUTE_MS
    assert late.p90_ms > late.median_ms
