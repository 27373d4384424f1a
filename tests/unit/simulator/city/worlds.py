"""Small named worlds: a street of places 1,000 m apart, walked at 10 m/s."""

from __future__ import annotations

from random import Random

from node.geodesy import M_PER_E7
from simulator.city.actions import Action, Fix
from simulator.city.kitchen import Pass
from simulator.city.model import Offer, OfferId, OrderId, Place, RiderId, Route, Stop, StopKind
from simulator.city.motion import Trip, straight
from simulator.city.params import RiderParams
from simulator.city.rider import Profile, Rider, RiderSurroundings
from simulator.city.shifts import FixedShifts, Shift

SPEED_MPS = 10.0
HOUR_MS = 3_600_000


def street(km: float) -> Place:
    """The place so many kilometres north of the equator on the zero meridian."""
    return Place(round(km * 1000 / M_PER_E7), 0)


class Street:
    """Ways straight along the street."""

    def trip(self, start: Place, end: Place) -> Trip:
        return straight((start, end), SPEED_MPS)


#: No chance anywhere: always yes, at once, never without signal, true positions.
CALM = RiderParams(
    fix_every_s=10,
    answer_s=(0, 0),
    decline=0,
    pickup_s=60,
    dropoff_s=60,
    rest_s=(600, 600),
    drift=0,
    losses_per_hour=0,
    accuracy_m=(0, 0),
)


def rider_at_home(
    params: RiderParams = CALM,
    *,
    counter: Pass | None = None,
    shift: Shift = Shift(0, HOUR_MS),  # noqa: B008 (frozen)
    seed: int = 1,
) -> Rider:
    """A rider at kilometre 0 whose shift begins at once."""
    ready_ms = (counter or Pass()).ready_ms
    world = RiderSurroundings(Street(), ready_ms, lambda near, rng: street(3))
    return Rider(Profile(RiderId(1), street(0), FixedShifts((shift,))), world, params, Random(seed), now_ms=0)


def pickup(*orders: str, km: float = 1, ready_ms: int = 0) -> Stop:
    """Food of these orders at a restaurant."""
    return Stop(StopKind.PICKUP, tuple(OrderId(o) for o in orders), street(km), ready_ms)


def drop(order: str, km: float = 2) -> Stop:
    """The customer of an order."""
    return Stop(StopKind.DROP, (OrderId(order),), street(km))


def offer(name: str, *stops: Stop, expires_ms: int = HOUR_MS) -> Offer:
    """An offer of these stops."""
    return Offer(OfferId(name), stops, expires_ms)


def route(version: int, *stops: Stop) -> Route:
    """A route of these stops."""
    return Route(version, stops)


def lived(rider: Rider, until_ms: int, every_ms: int = 1000) -> list[Action]:
    """Actions of a rider up to a time, fixes left out, told the time every second."""
    actions: list[Action] = []
    for now_ms in range(0, until_ms + 1, every_ms):
        actions += rider.step(now_ms)
    return [action for action in actions if not isinstance(action, Fix)]
