"""Traffic, rain, closed cells, slow riders, kitchens that look again: the hidden world, by hand and by seed."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from zoneinfo import ZoneInfo

import h3.api.basic_int as h3
import pytest

from simulator.city.kitchen import Kitchen
from simulator.city.model import Place
from simulator.city.motion import straight
from simulator.city.params import BadParams, KitchenParams, TrafficParams
from simulator.city.scenario import CityParams, CitySite, build
from simulator.city.traffic import Closure, FreeTraffic, HiddenTraffic, Rain, Weather, draw_weather

UTC = ZoneInfo("UTC")
MONDAY_MS = 1_789_344_000_000
"""2026-09-14 0:00 UTC."""
HOUR_MS = 3_600_000
CENTER = Place(-299_027_000, -712_520_000)
NORTH = Place(-298_927_000, -712_520_000)
EVEN = TrafficParams(jam=1.0, unlike=0.0, luck=0.0)


def hidden(weather: Weather | None = None, params: TrafficParams = EVEN) -> HiddenTraffic:
    """A city without character, unless asked for."""
    return HiddenTraffic(params, UTC, CENTER, 7, weather or Weather())


def minutes(traffic: HiddenTraffic, hour: float) -> float:
    """Minutes that a way of 20 free minutes takes."""
    trip = straight((CENTER, NORTH), CENTER.distance_m(NORTH) / 1200)
    return traffic.driven(trip, MONDAY_MS + round(hour * HOUR_MS), Random(1)).duration_s / 60


def test_nights_flow_and_rush_hours_do_not() -> None:
    """At four in the morning free flow, at eighteen on a Monday longest, on a Saturday less."""
    assert minutes(hidden(), 4) == pytest.approx(20)
    assert minutes(hidden(), 18) == max(minutes(hidden(), h) for h in range(24)) > 30
    assert minutes(hidden(), 4) < minutes(hidden(), 18 + 5 * 24) < minutes(hidden(), 18)
    trip = straight((CENTER, NORTH), 8.0)
    assert FreeTraffic().driven(trip, MONDAY_MS, Random(1)) == trip


def test_rain_and_closures_come_on_top() -> None:
    """Of two rains the harder counts; a closed cell slows who drives through it, while it is closed."""
    rain = Weather((Rain(MONDAY_MS, MONDAY_MS + HOUR_MS, 1.2), Rain(MONDAY_MS, MONDAY_MS + HOUR_MS, 1.5)))
    assert minutes(hidden(rain), 0.1) == pytest.approx(30, rel=0.01)
    assert minutes(hidden(rain), 1.5) == pytest.approx(20, rel=0.01)
    assert rain.rains(MONDAY_MS)
    assert not rain.rains(MONDAY_MS + HOUR_MS)
    cell = h3.latlng_to_cell(CENTER.lat, CENTER.lng, 9)
    closed = hidden(Weather(closures=(Closure(cell, MONDAY_MS, MONDAY_MS + HOUR_MS),)))
    assert closed.slow(CENTER, MONDAY_MS) == EVEN.closed_slow
    assert closed.slow(NORTH, MONDAY_MS) == 1.0
    assert closed.slow(CENTER, MONDAY_MS + HOUR_MS) == 1.0


def test_cells_keep_their_character() -> None:
    """Equal seeds make equal cities, other seeds others; a day's weather is drawn within the day."""
    params = TrafficParams(rains=(2, 2), closures=(3, 3))
    assert hidden(params=params).slow(NORTH, MONDAY_MS) == hidden(params=params).slow(NORTH, MONDAY_MS)
    assert replace(hidden(params=params), seed=8).slow(NORTH, MONDAY_MS) != hidden(params=params).slow(NORTH, MONDAY_MS)
    weather = draw_weather(params, MONDAY_MS, MONDAY_MS + HOUR_MS, [CENTER, NORTH], Random(4))
    assert (len(weather.rain), len(weather.closures)) == (2, 3)
    assert all(MONDAY_MS <= r.on_ms <= MONDAY_MS + HOUR_MS for r in weather.rain)
    assert weather == draw_weather(params, MONDAY_MS, MONDAY_MS + HOUR_MS, [CENTER, NORTH], Random(4))


def test_some_riders_are_slow_and_nobody_else_changes() -> None:
    """About the share asked for; the others' pace is as it was."""
    places = [Place(CENTER.lat_e7 + i * 9_000, CENTER.lng_e7) for i in range(200)]

    class _Flight:
        def trip(self, start: Place, end: Place) -> object:
            return straight((start, end), 8.0)

    ground = CitySite("test", UTC, CENTER, places, _Flight())  # type: ignore[arg-type]
    usual, some = (build(ground, CityParams(riders=200, slow=share), 3, MONDAY_MS).riders for share in (0.0, 0.15))
    slower = [b.profile.pace / a.profile.pace for a, b in zip(usual, some, strict=True)]
    assert 15 <= sum(pace > 1 for pace in slower) <= 45
    assert all(pace == 1 or 1.2 <= pace <= 1.6 for pace in slower)


def test_a_kitchen_that_looks_again_knows_better() -> None:
    """Over 300 orders: it speaks before the food is ready or due, and errs less than at first."""
    kitchen = Kitchen(KitchenParams(ovens=1000, surprise=0.3, looks_again=0.6), Random(5))
    first = second = 0.0
    for _ in range(300):
        cooking = kitchen.begin(0)
        assert 0 < cooking.again_ms <= cooking.said_s * 1000
        assert cooking.again_ms <= cooking.again_ready_ms
        first += abs(cooking.ready_ms - cooking.said_s * 1000)
        second += abs(cooking.ready_ms - cooking.again_ready_ms)
    assert second < first / 2
    assert Kitchen(KitchenParams(), Random(5)).begin(0).again_ms == 0


@pytest.mark.parametrize("bad", [{"jam": -1}, {"rain_slow": (0.5, 1)}, {"rains": (3, 1)}, {"closed_slow": 0}])
def test_bad_params_are_refused(bad: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(BadParams, match=next(iter(bad))):
        TrafficParams(**bad)  # type: ignore[arg-type]
