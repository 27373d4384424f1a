"""Four models look on at less than an hour of a tiny city, where everybody flies in a straight line."""

from __future__ import annotations

from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from benchmarks.eta.quotes import SPEEDS_ALONE, QuotingModel, QuotingModels, new_models
from benchmarks.eta.simulated_days import Day
from dispatch.engine.eta.calibration import Stage
from dispatch.engine.eta.learning import CityLearning
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Point, Rider, RiderId, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.free_flow import FreeFlowTravel
from simulator.city.model import Place
from simulator.city.motion import Trip, straight
from simulator.city.params import CustomerParams, RiderParams, TrafficParams
from simulator.city.scenario import CityParams, CitySite, build
from simulator.city.shifts import FixedShifts, Shift
from simulator.city.traffic import HiddenTraffic, Rain, Weather
from simulator.drive.engine_only import EngineOnlyCity

NOON_MS = 1_789_387_200_000
HOUR_MS = 3_600_000
CENTER = Place(-299_027_000, -712_520_000)
PARAMS = EngineParams()
HERE, THERE = Point(-299_027_000, -712_520_000), Point(-299_127_000, -712_520_000)


class _Flight:
    """At 5 m/s, slower than free flow thinks."""

    def trip(self, start: Place, end: Place) -> Trip:
        return straight((start, end), 5.0)


def a_day(weather: Weather) -> Day:
    """Eight riders, forty orders an hour; the first rider counts as a slow one."""
    places = [
        Place(CENTER.lat_e7 + i * 9_000, CENTER.lng_e7 + j * 9_000) for i in range(-10, 11) for j in range(-10, 11)
    ]
    traffic = HiddenTraffic(TrafficParams(), ZoneInfo("UTC"), CENTER, 5, weather)
    ground = CitySite("test", ZoneInfo("UTC"), CENTER, places, _Flight(), traffic)
    params = CityParams(
        riders=8, restaurants=6, rider=RiderParams(fix_every_s=20.0), customer=CustomerParams(orders_per_hour=40.0)
    )
    city = build(ground, params, 3, NOON_MS, shifts=FixedShifts((Shift(NOON_MS, NOON_MS + 6 * HOUR_MS),)))
    slow = frozenset({city.riders[0].profile.rider_id})
    return Day("a day", city, NOON_MS, NOON_MS + HOUR_MS, NOON_MS + HOUR_MS, weather, slow)


def looked_on(weather: Weather = Weather()) -> QuotingModels:  # noqa: B008 (frozen)
    """Models that have looked on for the day."""
    day = a_day(weather)
    models = QuotingModels(new_models(FreeFlowTravel()), PARAMS, day)
    EngineOnlyCity(day.city, PARAMS, models, day.begin_ms).run(day.end_ms)
    return models


@pytest.fixture(scope="module")
def dry() -> QuotingModels:
    """The day without rain."""
    return looked_on()


def test_every_model_is_judged_by_the_same_deliveries(dry: QuotingModels) -> None:
    """One quote a model and stage for each delivered order, made before it came."""
    came = {
        model.name: Counter((j.quote.stage, j.delivered_ms) for j in dry.judged if j.model == model.name)
        for model in dry.models
    }
    assert came["learned"] == came["free flow"] == came["road"] == came["uncalibrated"]
    stages = Counter(stage for stage, _ in came["learned"].elements())
    assert stages[Stage.OPEN] == stages[Stage.ASSIGNED] == stages[Stage.CARRIED] > 5
    assert all(j.quote.made_ms <= j.delivered_ms for j in dry.judged)


def test_each_calibrates_itself_but_one(dry: QuotingModels) -> None:
    """Free flow twice: equal before anything was learned, then the calibrated one has moved."""
    learned, free_flow, _, untaught = dry.models
    assert free_flow.learning.calibration.bands[Stage.CARRIED].seen > 5
    assert untaught.known([]).calibration.bands == {}
    assert (learned.knows_riders, free_flow.knows_riders) == (True, False)


def test_the_ways_are_said_by_all_and_take_what_they_take(dry: QuotingModels) -> None:
    """Free flow is too quick for this city, and what was learned is nearer, with and without the riders' own paces."""
    assert dry.legs
    error_s = {
        name: np.mean([abs(leg.said_s[name] - leg.took_s) for leg in dry.legs[len(dry.legs) // 2 :]])
        for name in ("learned", SPEEDS_ALONE, "free flow")
    }
    assert error_s["learned"] < error_s["free flow"]
    assert error_s[SPEEDS_ALONE] < error_s["free flow"]


def test_the_same_day_again(dry: QuotingModels) -> None:
    """Nothing in it is by chance."""
    again = looked_on()
    assert (again.judged, again.legs) == (dry.judged, dry.legs)


def test_rain_and_slow_riders_are_told_of_the_delivery() -> None:
    """Rain from half past on: what came before is dry. Only the first rider is slow."""
    half_past_ms = NOON_MS + HOUR_MS // 2
    wet = looked_on(Weather((Rain(half_past_ms, NOON_MS + 5 * HOUR_MS, 1.3),)))
    assert {j.rain for j in wet.judged} == {False, True}
    assert all(j.rain == (j.delivered_ms >= half_past_ms) for j in wet.judged)
    assert {j.slow_rider for j in wet.judged} == {False, True}


def test_a_way_with_and_without_the_riders_own_pace() -> None:
    """A rider seen to take long is expected to; somebody with its vehicle is not."""
    learning = CityLearning()
    for i in range(40):
        lats = np.array([HERE.lat_e7 - i * 2_000])
        seen = Positions(np.array([7], np.uint64), lats, np.array([HERE.lng_e7]), np.zeros(1, np.int64))
        learning.learn_from_positions(seen, {}, NOON_MS + i * 15_000, PARAMS)
    model = QuotingModel("learned", FreeFlowTravel(), learning, knows_riders=True)
    rider = Rider(RiderId(7), True, NOON_MS + HOUR_MS, 3, Vehicle.BICYCLE)
    pace = learning.travel_learner.pace_of(rider.rider_id)
    own_s = model.way_s(rider, HERE, THERE, NOON_MS, PARAMS)
    anyones_s = model.anyones_way_s(Vehicle.BICYCLE, HERE, THERE, NOON_MS, PARAMS)
    car_s = model.anyones_way_s(Vehicle.CAR, HERE, THERE, NOON_MS, PARAMS)
    assert pace != 1.0
    assert own_s == pytest.approx(anyones_s * pace)
    assert anyones_s == pytest.approx(car_s * PARAMS.pace.bicycle)
