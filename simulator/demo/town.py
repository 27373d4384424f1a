"""The simulated cities of a demo, and the drivers that let them speak to the system."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

import httpx

from dispatch.engine.travel.network import RoadNetwork
from node.clock import Clock
from shard_router.cities.catalogue import load_cities
from simulator.city.model import Place
from simulator.city.params import CustomerParams, RiderParams
from simulator.city.scenario import CityParams, CitySite, SimulatedCity, build
from simulator.drive.customers import CustomerDriver, PlacedOrder
from simulator.drive.kitchens import Kitchens
from simulator.drive.riders import Fleet
from simulator.drive.tokens import Tokens
from simulator.drive.watchers import Watchers
from simulator.roads.routing import RoadWays, places_in

#: The two cities, and which share of riders and orders each has.
SHARES = {"la-serena": 0.55, "coquimbo": 0.45}
#: Wall seconds between two fixes of a rider: at 30x 15 domain seconds, well within the 60 after which it is stale.
_FIX_EVERY_WALL_S = 0.5
#: Sockets open at once; further orders go unwatched.
_WATCHED_AT_ONCE = 40
_FLUSH_WITHIN_S = 15.0
#: The first kitchens of a city, those most is ordered from, have a screen on which they press Ready.
SCREENS = 6


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses of the public APIs."""

    gateway_url: str
    tracking_address: str


def start_of_evening(now_ms: int, zone: ZoneInfo) -> int:
    """19:50 of today in the cities' time zone, as domain milliseconds: the demo begins as dinner does."""
    day = datetime.fromtimestamp(now_ms / 1000, zone)
    return round(day.replace(hour=19, minute=50, second=0, microsecond=0).timestamp() * 1000)


def fix_period_s(speed: float) -> float:
    """Domain seconds between two fixes of a rider."""
    return max(1.0, _FIX_EVERY_WALL_S * speed)


def two_cities(
    network: RoadNetwork, *, riders: int, orders_per_hour: float, seed: int, speed: float, now_ms: int
) -> tuple[SimulatedCity, ...]:
    """La Serena and Coquimbo on their roads."""
    ways = RoadWays(network)
    known = {city.slug: city for city in load_cities()}
    cities: list[SimulatedCity] = []
    for slug, share in SHARES.items():
        lat_e7, lng_e7 = known[slug].center_e7
        center = Place(lat_e7, lng_e7)
        ground = CitySite(slug, ZoneInfo(known[slug].time_zone), center, places_in(network, known[slug]), ways)
        params = CityParams(
            riders=round(riders * share),
            first_rider_id=1 + sum(len(city.riders) for city in cities),
            rider=RiderParams(fix_every_s=fix_period_s(speed)),
            customer=CustomerParams(orders_per_hour=orders_per_hour * share),
        )
        cities.append(build(ground, params, seed, now_ms))
    return tuple(cities)


class Town:
    """Cities that live: `async with Town(...) as town`. Everything they do goes through the public APIs."""

    def __init__(self, cities: Sequence[SimulatedCity], endpoints: Endpoints, tokens: Tokens, clock: Clock) -> None:
        self.cities = tuple(cities)
        self.watchers = Watchers(clock, _WATCHED_AT_ONCE)
        riders = [(city.city, rider) for city in cities for rider in city.riders]
        self.kitchens = Kitchens(
            clock, tokens, frozenset(r.restaurant_id for c in cities for r in c.restaurants[:SCREENS])
        )
        self.fleet = Fleet(riders, endpoints.tracking_address, tokens, clock)
        self.placed: list[PlacedOrder] = []
        self._exit = AsyncExitStack()
        self._http = httpx.AsyncClient(base_url=endpoints.gateway_url, timeout=10, trust_env=False)
        self._drivers = [
            CustomerDriver(c.city, c.customers, c.counter, self._http, tokens, clock, self._on_placed) for c in cities
        ]
        self._riding: asyncio.Task[None] | None = None
        self._ordering: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._exit.push_async_callback(self._http.aclose)
        self._exit.push_async_callback(self.fleet.close)
        self._exit.push_async_callback(self.watchers.close)
        self._exit.push_async_callback(self.kitchens.close)
        self._riding = asyncio.create_task(self.fleet.run(), name="riders")
        self._ordering = [asyncio.create_task(driver.run(), name="customers") for driver in self._drivers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await _cancel([*self._ordering, *([self._riding] if self._riding else [])])
        await self._exit.aclose()

    def check(self) -> None:
        """Raises what ended a part of the town, if anything did."""
        for task in (*self._ordering, self._riding):
            if task is not None and task.done() and not task.cancelled():
                task.result()

    async def stop_ordering(self) -> None:
        """Stop placing orders; those on their way to the gateway arrive."""
        await _cancel(self._ordering)

    async def settle(self) -> int:
        """Everybody stops, and all that riders said is acknowledged; returns how much is not, after a while."""
        if self._riding is not None:
            await _cancel([self._riding])
        return await self.fleet.drain(_FLUSH_WITHIN_S)

    @property
    def refused(self) -> Counter[str]:
        """Orders that were refused, by reason."""
        return sum((driver.refused for driver in self._drivers), Counter())

    def _on_placed(self, order: PlacedOrder) -> None:
        self.placed.append(order)
        self.watchers.offer(order)
        self.kitchens.expect(order)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Ends tasks; raises the first error of those that had failed before."""
    for task in tasks:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    for error in done:
        if isinstance(error, Exception):
            raise error
