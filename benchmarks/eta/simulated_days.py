"""Simulated days: a city on generated streets, its hidden traffic, and what is out of the ordinary on a day.

History is ordinary: rush hours, no rain, no closure, no slow rider. Held-back days have all three. Every day has riders
of its own, so nobody is known from before. Streets and the character of each cell stay, as in any city.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from dispatch.engine.travel.network import RoadNetwork
from shard_router.cities.catalogue import load_cities
from simulator.city.model import Place
from simulator.city.params import CustomerParams, KitchenParams, RiderParams, TrafficParams
from simulator.city.scenario import CityParams, CitySite, SimulatedCity, build
from simulator.city.traffic import HiddenTraffic, Weather, draw_weather
from simulator.roads.build import build_network
from simulator.roads.grid import ATTRIBUTION, SOURCE, grid_links
from simulator.roads.routing import RoadWays, places_in

HOUR_MS: Final = 3_600_000
#: A Monday, local time.
_FIRST_DAY: Final = datetime(2026, 9, 7)
#: The day begins and ends, hours of local time; the last order comes this long before the end.
_OPENS_H: Final = 11.25
_CLOSES_H: Final = 24.5
_LAST_ORDER_H: Final = 0.9


@dataclass(frozen=True, slots=True)
class WorldParams:
    """A city by name and seed; `riders` and `orders_per_hour` at the peak."""

    city: str
    seed: int
    riders: int = 40
    orders_per_hour: float = 90.0


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a city. `slow_riders` and `weather` are the hidden truth, for the report only."""

    name: str
    city: SimulatedCity
    begin_ms: int
    orders_until_ms: int
    end_ms: int
    weather: Weather
    slow_riders: frozenset[int]


class SimulatedDays:
    """One city; `day` makes its days."""

    def __init__(self, params: WorldParams) -> None:
        found = next(city for city in load_cities() if city.slug == params.city)
        self.params = params
        self.network: RoadNetwork = build_network(grid_links(params.seed), SOURCE, ATTRIBUTION)
        self._zone = ZoneInfo(found.time_zone)
        self._center = Place(*found.center_e7)
        self._places = places_in(self.network, found)
        self._ways = RoadWays(self.network)

    def day(self, number: int, *, held_back: bool) -> Day:
        """Working day `number` of the city; a held-back one has rain, closures and slow riders."""
        begin = self._begin(number)
        begin_ms, end_ms = (round((begin + timedelta(hours=h)).timestamp() * 1000) for h in (0, _CLOSES_H - _OPENS_H))
        what = f"{self.params.seed}/{self.params.city}/{'held back' if held_back else 'history'} {number}"
        traffic_params = TrafficParams(jam=1.0)
        if held_back:
            traffic_params = replace(traffic_params, rains=(1, 3), closures=(3, 8))
        weather = draw_weather(traffic_params, begin_ms, end_ms, self._places_near_centre(), Random(what))
        traffic = HiddenTraffic(traffic_params, self._zone, self._center, self.params.seed, weather)
        ground = CitySite(self.params.city, self._zone, self._center, self._places, self._ways, traffic)
        city = build(ground, self._city_params(number, held_back), _whole(what), begin_ms)
        slow = frozenset(r.profile.rider_id for r in city.riders if r.profile.pace > 1.13)
        orders_until_ms = end_ms - round(_LAST_ORDER_H * HOUR_MS)
        return Day(f"{self.params.city} day {number}", city, begin_ms, orders_until_ms, end_ms, weather, slow)

    def _begin(self, number: int) -> datetime:
        weeks, weekday = divmod(number, 5)
        day = _FIRST_DAY + timedelta(weeks=weeks, days=weekday)
        return day.replace(tzinfo=self._zone) + timedelta(hours=_OPENS_H)

    def _places_near_centre(self) -> list[Place]:
        return sorted(self._places, key=self._center.distance_m)[: len(self._places) // 3]

    def _city_params(self, number: int, held_back: bool) -> CityParams:
        return CityParams(
            riders=self.params.riders,
            first_rider_id=1 + number * 1000,
            slow=0.15 if held_back else 0.0,
            rider=RiderParams(fix_every_s=20.0, service_surprise=0.3),
            kitchen=KitchenParams(surprise=0.2, looks_again=0.6),
            customer=CustomerParams(orders_per_hour=self.params.orders_per_hour),
        )


def _whole(what: str) -> int:
    return Random(what).getrandbits(32)
