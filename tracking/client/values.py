"""Values exchanged by an app and the edge. Times are domain milliseconds, positions 1e-7 degrees."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class StopKind(IntEnum):
    """Numbers of `tracking.v1.StopKind`."""

    #: Of a kind that only a newer release of the edge knows.
    UNKNOWN = 0
    PICKUP = 1
    DROPOFF = 2

    @classmethod
    def _missing_(cls, value: object) -> StopKind:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of a rider's route. `ready_ms` (pickups) is when the food should be ready."""

    kind: StopKind
    order_ids: tuple[str, ...]
    lat_e7: int
    lng_e7: int
    eta_ms: int
    ready_ms: int
    restaurant_id: str


@dataclass(frozen=True, slots=True)
class Offer:
    """Orders offered to the rider, with the route that would follow. Answer before `expires_ms`."""

    offer_id: str
    order_ids: tuple[str, ...]
    stops: tuple[Stop, ...]
    expires_ms: int
    epoch: int


@dataclass(frozen=True, slots=True)
class OfferRetracted:
    """An offer is not open any more."""

    offer_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """The rider's whole plan as it stands; replaces the one before."""

    stops: tuple[Stop, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Throttled:
    """Order to send at most so many fixes a second from now on; 0: no limit. The client obeys by itself."""

    max_fixes_per_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The edge refused a message; it is not sent again."""

    session: int
    seq: int
    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A session is open."""

    session: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The stream is gone; the client connects again by itself."""

    reason: str


Event = Offer | OfferRetracted | Route | Throttled | Refused | Connected | Disconnected
