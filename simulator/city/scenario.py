"""Build a seeded city of restaurants, riders and customers on places along roads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from random import Random
from zoneinfo import ZoneInfo

from simulator.city.customers import Customers, Demand
from simulator.city.demand import DayCurve
from simulator.city.kitchen import Pass
from simulator.city.menu import restaurant_names
from simulator.city.model import Place, Restaurant, RestaurantId, RiderId
from simulator.city.motion import Ways
from simulator.city.params import CustomerParams, KitchenParams, RiderParams
from simulator.city.rider import Profile, Rider, RiderSurroundings
from simulator.city.shifts import DailyShifts, Shifts
from simulator.city.traffic import FreeTraffic, Traffic

#: Restaurants become rarer with distance from the centre, and riders begin near restaurants, as exp(-d / metres).
_CENTRE_M = 1500.0
_HOME_M = 800.0
#: A rider drifts to one of so many restaurants drawn by popularity: the nearest.
_DRIFT_CHOICES = 4


@dataclass(frozen=True, slots=True)
class CitySite:
    """The site of a simulated city: its slug, time zone and centre, places on its roads, ways between them."""

    city: str
    zone: ZoneInfo
    center: Place
    places: Sequence[Place]
    ways: Ways
    traffic: Traffic = field(default_factory=FreeTraffic)


@dataclass(frozen=True, slots=True)
class CityParams:
    """Population of a city. A share `slow` of the riders takes `slow_pace` times as long as others."""

    riders: int = 40
    restaurants: int = 24
    first_rider_id: int = 1
    slow: float = 0.0
    slow_pace: tuple[float, float] = (1.2, 1.6)
    rider: RiderParams = field(default_factory=RiderParams)
    kitchen: KitchenParams = field(default_factory=KitchenParams)
    customer: CustomerParams = field(default_factory=CustomerParams)


@dataclass(frozen=True, slots=True)
class SimulatedCity:
    """A city and all who live in it. `counter` is where finished food waits."""

    city: str
    restaurants: tuple[Restaurant, ...]
    riders: tuple[Rider, ...]
    customers: Demand
    counter: Pass


def build(
    ground: CitySite, params: CityParams, seed: int, now_ms: int, *, shifts: Shifts | None = None
) -> SimulatedCity:
    """The city of a seed. Each inhabitant has a random stream of its own: more riders do not change the customers.

    `shifts` are those of every rider; by default each has a daily habit.
    """
    restaurants = _restaurants(ground, params.restaurants, _stream(seed, ground.city, "restaurants"))
    counter = Pass()
    world = RiderSurroundings(ground.ways, counter.ready_ms, _Magnets(restaurants), ground.traffic)
    homes = _homes(ground, restaurants, params.riders, _stream(seed, ground.city, "homes"))
    riders = tuple(
        _rider(ground, params, world, shifts, RiderId(params.first_rider_id + i), home, seed, now_ms)
        for i, home in enumerate(homes)
    )
    curve = DayCurve(params.customer.orders_per_hour, ground.zone)
    rng = _stream(seed, ground.city, "customers")
    customers = Customers(restaurants, ground.places, curve, params.customer, params.kitchen, rng, now_ms)
    return SimulatedCity(ground.city, restaurants, riders, customers, counter)


def _stream(seed: int, city: str, what: str) -> Random:
    """A random stream; text seeds hash the same in every process."""
    return Random(f"{seed}/{city}/{what}")


def _restaurants(ground: CitySite, count: int, rng: Random) -> tuple[Restaurant, ...]:
    """Restaurants on distinct places while there are enough; the k-th is ordered from as 1 / (k + 3) (Zipf's law)."""
    places = _some_near(ground.center, ground.places, _CENTRE_M, count, rng)
    names = restaurant_names(len(places), rng)
    return tuple(
        Restaurant(RestaurantId(f"{ground.city}-r{k + 1}"), name, at, 1 / (k + 3))
        for k, (name, at) in enumerate(zip(names, places, strict=True))
    )


def _some_near(middle: Place, places: Sequence[Place], scale_m: float, count: int, rng: Random) -> list[Place]:
    """Distinct places, rarer with distance (weighted sampling without replacement, Efraimidis and Spirakis 2006)."""
    keys = {place: log(1 - rng.random()) * exp(middle.distance_m(place) / scale_m) for place in places}
    return sorted(keys, key=keys.__getitem__, reverse=True)[:count]


def _rider(
    ground: CitySite,
    params: CityParams,
    world: RiderSurroundings,
    shifts: Shifts | None,
    rider_id: RiderId,
    home: Place,
    seed: int,
    now_ms: int,
) -> Rider:
    rng = _stream(seed, ground.city, f"rider {rider_id}")
    slowness = _stream(seed, ground.city, f"slowness of rider {rider_id}")
    slow = slowness.uniform(*params.slow_pace) if slowness.random() < params.slow else 1.0
    profile = Profile(
        rider_id,
        home=home,
        shifts=shifts or DailyShifts.draw(ground.zone, rng),
        capacity=rng.choice((2, 2, 3)),
        pace=rng.uniform(0.92, 1.12) * slow,
    )
    return Rider(profile, world, params.rider, rng, now_ms)


def _homes(ground: CitySite, restaurants: Sequence[Restaurant], count: int, rng: Random) -> list[Place]:
    """Places where riders begin: a few near each restaurant, in turn."""
    each = -(-count // len(restaurants))
    near = [_some_near(r.at, ground.places, _HOME_M, each, rng) for r in restaurants]
    return [near[i % len(near)][i // len(near) % len(near[i % len(near)])] for i in range(count)]


class _Magnets:
    """Busy restaurants draw idle riders."""

    def __init__(self, restaurants: Sequence[Restaurant]) -> None:
        self._places = [r.at for r in restaurants]
        self._weights = [r.popularity for r in restaurants]

    def __call__(self, near: Place, rng: Random) -> Place:
        drawn = rng.choices(self._places, self._weights, k=_DRIFT_CHOICES)
        return min(drawn, key=near.distance_m)
