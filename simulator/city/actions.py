"""Actions of a rider that the world can notice. The driver turns them into messages of the rider's stream."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.city.model import OfferId, OrderId, Place


@dataclass(frozen=True, slots=True)
class Online:
    """The shift begins, here."""

    at_ms: int
    place: Place
    shift_end_ms: int


@dataclass(frozen=True, slots=True)
class Offline:
    """The shift is over, everything on board delivered."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """The app showed an offer."""

    offer_id: OfferId


@dataclass(frozen=True, slots=True)
class Answered:
    """Yes or no to an offer."""

    at_ms: int
    offer_id: OfferId
    accepted: bool


@dataclass(frozen=True, slots=True)
class Arrived:
    """The rider stands at the restaurant of these orders."""

    at_ms: int
    order_ids: tuple[OrderId, ...]


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The food of these orders is on board."""

    at_ms: int
    order_ids: tuple[OrderId, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The customer has the order."""

    at_ms: int
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class Fix:
    """A reading of the phone's GPS: the true place and a little noise."""

    at_ms: int
    place: Place
    accuracy_m: float
    heading_deg: float
    speed_mps: float


@dataclass(frozen=True, slots=True)
class SignalLost:
    """The phone has no network; what the app wants to say waits in it."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SignalBack:
    """The network is there again."""

    at_ms: int


Action = Online | Offline | Seen | Answered | Arrived | PickedUp | Delivered | Fix | SignalLost | SignalBack
