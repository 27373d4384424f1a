"""The rider SDK: `RiderClient` keeps one rider's stream up, buffers what cannot be sent, resends what was not acked."""

from tracking.client.errors import DrainTimeout, OutboxFull, Stopped, TokenRefused
from tracking.client.journal import AckJournal
from tracking.client.link import EdgeLink
from tracking.client.outbox import Outbox
from tracking.client.rider import RiderClient
from tracking.client.values import (
    Connected,
    Disconnected,
    Event,
    Offer,
    OfferRetracted,
    Refused,
    Route,
    Stop,
    StopKind,
    Throttled,
)
from tracking.statuses import RiderStatus, Vehicle

__all__ = [
    "AckJournal",
    "Connected",
    "Disconnected",
    "DrainTimeout",
    "EdgeLink",
    "Event",
    "Offer",
    "OfferRetracted",
    "Outbox",
    "OutboxFull",
    "Refused",
    "RiderClient",
    "RiderStatus",
    "Route",
    "Stop",
    "StopKind",
    "Stopped",
    "Throttled",
    "TokenRefused",
    "Vehicle",
]
