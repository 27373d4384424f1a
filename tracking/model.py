"""The values the edge works with, beside `proto.fix_columns`. Times are milliseconds, positions 1e-7 degrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from tracking.statuses import Vehicle

RiderId = NewType("RiderId", int)
SessionId = NewType("SessionId", int)

#: One batch of a rider: the columns of `proto.columns.PING_BATCH`, still packed.
RawBatch = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason why a message was refused: the field at fault, a machine's word, and words for people."""

    seq: int
    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RiderReplied:
    """A rider's answer to an offer."""

    offer_id: str
    accepted: bool
    ts_ms: int


@dataclass(frozen=True, slots=True)
class RiderStatusChanged:
    """A rider's status. `status` and `vehicle` are numbers of `RiderStatus` and `Vehicle` once they are checked."""

    status: int
    order_id: str
    ts_ms: int
    shift_end_ms: int = 0
    capacity: int = 0
    vehicle: int = Vehicle.UNKNOWN
    at: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class RiderRehomed:
    """A rider's home changes; told to both cities."""

    from_city: str
    to_city: str
    ts_ms: int


@dataclass(frozen=True, slots=True)
class RiderEvent:
    """A rider's message that is not a fix, on its way to the city's event log."""

    city: str
    rider_id: RiderId
    session: SessionId
    seq: int
    body: RiderReplied | RiderStatusChanged | RiderRehomed

    @property
    def event_id(self) -> str:
        """Unique over all riders and sessions; the same message sent again in a later session has another id."""
        return f"{self.rider_id}-{self.session}-{self.seq}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A live offer to a rider. The edge forwards `body` (a serialised `tracking.v1.Offer`) and reads only the rest."""

    offer_id: str
    expires_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """A rider's plan. The edge forwards `body` (a serialised `tracking.v1.Route`) and reads only its version."""

    version: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks of a rider, as committed by the city's owner."""

    offers: tuple[Offer, ...] = ()
    route: Route | None = None
    #: Whether the route has a stop.
    under_way: bool = False
    #: The city that is the rider's home by now, if it is another one.
    moved_to: str = ""

    @property
    def idle(self) -> bool:
        """Whether the rider has no task and no offer."""
        return not self.offers and not self.under_way


@dataclass(frozen=True, slots=True)
class OpenOffers:
    """All live offers of a city that have no answer, by rider; made by the owner of that epoch."""

    epoch: int
    offers: tuple[tuple[RiderId, Offer], ...]


@dataclass(frozen=True, slots=True)
class CityTasks:
    """Tasks of some riders of a city, as the owner of that epoch tells them."""

    epoch: int
    tasks: dict[RiderId, Tasks]


@dataclass(frozen=True, slots=True)
class Wake:
    """Hint that something changed in a city for these riders: fetch it."""

    city: str
    rider_ids: tuple[RiderId, ...]
