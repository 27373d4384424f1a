"""The story of each order as it is told: tracks, results for other services, outcomes of ETAs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dispatch.engine.eta.calibration import Eta, Quote
from dispatch.engine.model import OrderId, OrderStatus, RiderId


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """The order came into a state. `seq` grows by one."""

    seq: int
    state: OrderStatus
    at_ms: int


@dataclass(frozen=True, slots=True)
class Track:
    """An order's story so far. `version` is that of the last result; `told_*` the ETA as last told in one.

    `predicted_*` is the ETA at acceptance by the rider who has it; `quotes` holds the first of each stage, for
    calibration: when it was opened, when its rider accepted, when it was picked up.
    """

    order_id: OrderId
    version: int = 0
    events: tuple[TrackEvent, ...] = ()
    told_eta_ms: int = 0
    told_p90_ms: int = 0
    accepted_ms: int = 0
    predicted_ms: int = 0
    predicted_p90_ms: int = 0
    quotes: tuple[Quote, ...] = ()

    def quoted(self, eta: Eta) -> Track:
        """The track with the quote in the place of an earlier one of its stage."""
        if eta.quote is None:
            return self
        others = (quote for quote in self.quotes if quote.stage is not eta.quote.stage)
        return replace(self, quotes=(*others, eta.quote))

    def moved(self, state: OrderStatus, at_ms: int) -> Track:
        """The track with one more event, unless the order is in that state already."""
        if self.events and self.events[-1].state is state:
            return self
        return replace(self, events=(*self.events, TrackEvent(len(self.events) + 1, state, at_ms)))


class ResultKind(StrEnum):
    """Kinds of `dispatch.v1.DispatchEvent`."""

    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    FAILED = "failed"
    ETA_CHANGED = "eta_changed"


@dataclass(frozen=True, slots=True)
class Result:
    """Event for the other services. The event id is made of order and version, stable over retries."""

    order_id: OrderId
    version: int
    kind: ResultKind
    at_ms: int
    rider_id: RiderId
    eta: Eta
    reason: str = ""

    @property
    def event_id(self) -> str:
        return f"{self.order_id}.{self.version}"


@dataclass(frozen=True, slots=True)
class EtaOutcome:
    """A delivery against what was predicted when its rider accepted, and in each stage; domain milliseconds."""

    order_id: OrderId
    rider_id: RiderId
    placed_ms: int
    accepted_ms: int
    predicted_ms: int
    predicted_p90_ms: int
    delivered_ms: int
    quotes: tuple[Quote, ...] = ()

    @property
    def error_s(self) -> float:
        """Actual less predicted."""
        return (self.delivered_ms - self.predicted_ms) / 1000


@dataclass(frozen=True, slots=True)
class TrackChanges:
    """Additions of a tick to the orders' tracks; `tracks` are whole, each once."""

    tracks: tuple[Track, ...] = ()
    results: tuple[Result, ...] = ()
    outcomes: tuple[EtaOutcome, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tracks or self.results)
