"""Values of the simulated city. Positions are integer 1e-7 degrees, times integer milliseconds of the domain clock."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from node.geodesy import flat_distance_m

RiderId = NewType("RiderId", int)
OrderId = NewType("OrderId", str)
OfferId = NewType("OfferId", str)
RestaurantId = NewType("RestaurantId", str)


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth in integer 1e-7 degrees."""

    lat_e7: int
    lng_e7: int

    @property
    def lat(self) -> float:
        """Degrees."""
        return self.lat_e7 / 1e7

    @property
    def lng(self) -> float:
        """Degrees."""
        return self.lng_e7 / 1e7

    def distance_m(self, other: Place) -> float:
        """Metres to another place; flat-earth, good to 0.1 % within a city."""
        return flat_distance_m(self, other)


@dataclass(frozen=True, slots=True)
class Pose:
    """Place and motion of somebody: heading in degrees clockwise from north, speed in m/s."""

    at: Place
    heading_deg: float = 0.0
    speed_mps: float = 0.0


class StopKind(StrEnum):
    """Kinds of a rider's stops."""

    PICKUP = "pickup"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of a route, as the app shows it. `ready_ms` is when the food of a pickup should be ready."""

    kind: StopKind
    order_ids: tuple[OrderId, ...]
    at: Place
    ready_ms: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Orders a rider is asked to carry, and the stops that would mean."""

    offer_id: OfferId
    stops: tuple[Stop, ...]
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Route:
    """A rider's whole plan as the system has it; the higher version wins."""

    version: int
    stops: tuple[Stop, ...]


@dataclass(frozen=True, slots=True)
class Restaurant:
    """A restaurant: where it is and how often people order there (a weight, not a rate)."""

    restaurant_id: RestaurantId
    name: str
    at: Place
    popularity: float = 1.0
