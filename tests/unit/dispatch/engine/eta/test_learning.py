"""Lessons are carried over a restart; and a whole simulated day learns nothing from its future."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dispatch.engine.eta.calibration import Calibration, Quote, Stage
from dispatch.engine.eta.learning import BrokenLearning, CityLearning
from dispatch.engine.inputs import Delivered, PickedUp, Positions
from dispatch.engine.model import OrderId, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.travel.free_flow import FreeFlowTravel
from simulator.city.model import Place
from simulator.city.motion import Trip, straight
from simulator.city.params import CustomerParams, RiderParams, TrafficParams
from simulator.city.scenario import CityParams, CitySite, build
from simulator.city.shifts import FixedShifts, Shift
from simulator.city.traffic import HiddenTraffic, Rain, Weather
from simulator.drive.engine_only import TICK_MS, EngineOnlyCity, Moment
from tests.unit.dispatch.engine.small_worlds import MINUTE_MS, SmallWorld, order, reply

NOON_MS = 1_789_387_200_000
HOUR_MS = 3_600_000
THEN_MS = HOUR_MS // 2
CENTER = Place(-299_027_000, -712_520_000)


def taught() -> CityLearning:
    """Some drives, a leg, a few deliveries."""
    learning, params = CityLearning(), EngineParams()
    for i in range(40):
        lats = np.array([-299_027_000 + i * 8_000])
        seen = Positions(np.array([7], np.uint64), lats, np.array([-712_520_000]), np.zeros(1, np.int64))
        learning.learn_from_positions(seen, {}, NOON_MS + i * 15_000, params)
    for late_s in (10, 500, -30):
        quote = Quote(Stage.ASSIGNED, NOON_MS, NOON_MS + 600_000, 60_000, NOON_MS + 600_000, NOON_MS + 700_000)
        learning.learn_from_delivery([quote], NOON_MS + (600 + late_s) * 1000)
    learning.travel_learner.refresh()
    return learning


def test_what_was_learned_survives_a_restart() -> None:
    """Saved and loaded it quotes and travels as before."""
    before = taught()
    after = CityLearning.loaded(before.saved())
    assert after.calibration == before.calibration != Calibration()
    assert after.travel_learner.pace_of(RiderId(7)) == before.travel_learner.pace_of(RiderId(7)) != 1.0
    assert after.travel_learner.model().paces == pytest.approx(before.travel_learner.model().paces, rel=1e-6)


@pytest.mark.parametrize("broken", [b"", b"PK", taught().saved()[:100]])
def test_broken_bytes_are_refused(broken: bytes) -> None:
    """With one error, whatever is wrong."""
    with pytest.raises(BrokenLearning):
        CityLearning.loaded(broken)


def test_a_leg_is_taken_from_what_riders_say() -> None:
    """Picked up at 10, delivered at 20: less two halves of a service, nine minutes of way are one leg."""
    world, learning = SmallWorld(), CityLearning()
    (offer,) = world.tick(4, world.rider(1), order("a", ready=4)).decisions.offers
    world.tick(4, reply(offer, 4))
    for minute, said in (
        (10, PickedUp(10 * MINUTE_MS, RiderId(1), (OrderId("a"),))),
        (20, Delivered(20 * MINUTE_MS, RiderId(1), OrderId("a"))),
    ):
        result = world.tick(minute, said)
        ended = {o.order_id: o for o in result.decisions.changes.orders if o.ended}
        learning.learn_from_notes(result.notes, {**world.state.orders, **ended}, world.state.riders, world.params)
    count, _, spent_s, _, _ = learning.travel_learner.legs.sums
    assert (count, spent_s) == (1.0, 8 * 60)


class _Flight:
    """Everybody flies."""

    def trip(self, start: Place, end: Place) -> Trip:
        return straight((start, end), 8.0)


class _Pupil:
    """Learns, and keeps the model of the first half hour."""

    def __init__(self) -> None:
        self.learning = CityLearning()
        self.model = b""
        self.told: list[tuple[int, int]] = []
        self.decided: list[object] = []

    def travel(self, now_ms: int) -> TravelTimes:
        return FreeFlowTravel()

    def saw(self, moment: Moment) -> None:
        params = EngineParams()
        if self.learning.is_due(moment.now_ms):
            self.learning.learn_from_positions(moment.positions, moment.state.riders, moment.now_ms, params)
        ended = {o.order_id: o for o in moment.ended}
        self.learning.learn_from_notes(moment.notes, {**moment.state.orders, **ended}, moment.state.riders, params)
        self.told += [(moment.now_ms, note.at_ms) for note in moment.notes]
        self.decided.append(moment.decisions.changes)
        if moment.now_ms == NOON_MS + THEN_MS:
            self.model = self.learning.travel_learner.model().packed() + self.learning.saved()


def an_afternoon(weather: Weather, hours: float = 0.8) -> _Pupil:
    """Eight riders, forty orders an hour, rush hours, and this weather."""
    places = [
        Place(CENTER.lat_e7 + i * 9_000, CENTER.lng_e7 + j * 9_000) for i in range(-10, 11) for j in range(-10, 11)
    ]
    traffic = HiddenTraffic(TrafficParams(), ZoneInfo("UTC"), CENTER, 5, weather)
    ground = CitySite("test", ZoneInfo("UTC"), CENTER, places, _Flight(), traffic)
    params = CityParams(
        riders=8,
        restaurants=6,
        rider=RiderParams(service_surprise=0.2),
        customer=CustomerParams(orders_per_hour=40.0),
    )
    shifts = FixedShifts((Shift(NOON_MS, NOON_MS + 6 * HOUR_MS),))
    city, pupil = build(ground, params, 3, NOON_MS, shifts=shifts), _Pupil()
    EngineOnlyCity(city, EngineParams(), pupil, NOON_MS).run(NOON_MS + round(hours * HOUR_MS))
    return pupil


def test_a_poisoned_future_teaches_nothing() -> None:
    """A flood after half an hour changes nothing of what was known and decided by then; equal afternoons are equal."""
    dry, wet = an_afternoon(Weather()), an_afternoon(Weather((Rain(NOON_MS + THEN_MS, NOON_MS + 5 * HOUR_MS, 9.0),)))
    assert dry.model == wet.model != b""
    ticks = THEN_MS // TICK_MS
    assert dry.decided[:ticks] == wet.decided[:ticks]
    assert dry.decided != wet.decided
    assert all(said_ms <= now_ms for now_ms, said_ms in dry.told)
    assert an_afternoon(Weather(), hours=0.5).model == dry.model
