"""Kitchens, demand, shifts, customers, and the city made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest

from simulator.city.customers import Customers
from simulator.city.demand import DayCurve
from simulator.city.kitchen import Kitchen, Pass
from simulator.city.model import OrderId, Place, Restaurant, RestaurantId
from simulator.city.params import BadParams, CustomerParams, KitchenParams, RiderParams
from simulator.city.scenario import CityParams, CitySite, SimulatedCity, build
from simulator.city.shifts import DailyShifts
from tests.unit.simulator.city.worlds import HOUR_MS, Street, street

SANTIAGO = ZoneInfo("America/Santiago")
#: 20:00 in Santiago in November (UTC-3).
EVENING_MS = round(datetime(2026, 11, 23, 23, 0, tzinfo=UTC).timestamp() * 1000)


def village(seed: int = 1, riders: int = 6) -> SimulatedCity:
    """A street of 41 places, five restaurants, a hundred orders an hour."""
    ground = CitySite("village", SANTIAGO, street(2), [street(k / 10) for k in range(41)], Street())
    return build(ground, CityParams(riders=riders, restaurants=5), seed, EVENING_MS)


def test_a_full_kitchen_says_so() -> None:
    """With one oven the second order waits for the first, and the kitchen's word includes that."""
    kitchen = Kitchen(KitchenParams(cook_s=(300, 300), ovens=1, surprise=0), Random(1))
    first, second = kitchen.begin(0), kitchen.begin(60_000)
    assert (first.said_s, first.ready_ms) == (300, 300_000)
    assert (second.said_s, second.ready_ms) == (540, 600_000)


def test_the_pass_knows_only_its_own_orders() -> None:
    """An order of somebody else is ready when the kitchen said."""
    counter = Pass()
    counter.expect(OrderId("ours"), 5)
    assert (counter.ready_ms(OrderId("ours"), 9), counter.ready_ms(OrderId("theirs"), 9)) == (5, 9)


def test_dinner_is_the_peak_and_nights_are_quiet() -> None:
    """The curve is 1 at 20:00 local time and 0 at four in the morning."""
    curve = DayCurve(100, SANTIAGO)
    assert curve.share(EVENING_MS) == 1
    assert curve.share(EVENING_MS + 8 * HOUR_MS) == 0


def test_arrivals_follow_the_rate() -> None:
    """In a peak hour of 1,000 orders, about 1,000 come."""
    curve, rng = DayCurve(1000, SANTIAGO), Random(3)
    at_ms, count = EVENING_MS, 0
    while True:
        at_ms = curve.next_after(at_ms, rng) or 0
        if at_ms > EVENING_MS + HOUR_MS:
            break
        count += 1
    assert 880 < count < 1120


def test_nobody_orders_at_rate_zero() -> None:
    """A rate of zero never draws forever."""
    assert DayCurve(0, SANTIAGO).next_after(0, Random(1)) is None


def test_most_riders_work_at_dinner_and_none_at_dawn() -> None:
    """Shifts of one's habit: at 20:00 one is on, at five in the morning not."""
    habit = DailyShifts.draw(SANTIAGO, Random(1))
    now, dawn_ms = habit.after(EVENING_MS), EVENING_MS + 9 * HOUR_MS
    tomorrow = habit.after(dawn_ms)
    assert now is not None
    assert tomorrow is not None
    assert now.on_ms < EVENING_MS < now.off_ms
    assert tomorrow.on_ms > dawn_ms


def test_drop_offs_are_near_rather_than_far() -> None:
    """All within reach, and the median nearer than the middle of the reach."""
    restaurant = Restaurant(RestaurantId("r"), "R", street(0))
    homes = [Place(0, street(k / 10).lat_e7) for k in range(100)]
    customers = Customers(
        [restaurant], homes, DayCurve(1000, SANTIAGO), CustomerParams(), KitchenParams(), Random(5), EVENING_MS
    )
    away_m = sorted(customers.order().dropoff.distance_m(restaurant.at) for _ in range(200))
    assert away_m[-1] <= 3000
    assert away_m[100] < 1500


def test_the_same_seed_builds_the_same_city() -> None:
    """Restaurants, riders and a hundred orders are equal; another seed gives others."""

    def orders(seed: int, riders: int = 6) -> list[object]:
        city = village(seed, riders)
        return [city.restaurants, [city.customers.order() for _ in range(100)]]

    assert orders(1) == orders(1)
    assert orders(1) == orders(1, riders=9), "more riders do not change the customers"
    assert orders(1) != orders(2)


def test_riders_have_ids_of_their_own() -> None:
    """Ids count up from the first."""
    assert [rider.profile.rider_id for rider in village().riders] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("build_it", "says"),
    [
        (lambda: RiderParams(decline=1.5), "RiderParams.decline"),
        (lambda: RiderParams(answer_s=(9, 2)), "RiderParams.answer_s"),
        (lambda: RiderParams(fix_every_s=0), "RiderParams.fix_every_s"),
        (lambda: RiderParams(loss_s=(float("nan"), 2)), "RiderParams.loss_s"),
        (lambda: KitchenParams(ovens=0), "KitchenParams.ovens"),
        (lambda: CustomerParams(orders_per_hour=-1), "CustomerParams.orders_per_hour"),
    ],
)
def test_bad_params_name_themselves(build_it: object, says: str) -> None:
    """A value out of range is refused with class and field."""
    with pytest.raises(BadParams, match=says):
        build_it()  # type: ignore[operator]
