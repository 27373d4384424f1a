"""The rider SDK: `RiderClient` keeps one rider's stream up, buffers what cannot be sent, resends what was not acked."""

from tracking.client.errors import FlushTimeout, SendBufferFull, Stopped, TokenRefused
from tracking.client.journal import AckJournal
from tracking.client.link import EdgeLink
from tracking.client.rider import RiderClient
from tracking.client.send_buffer import SendBuffer
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
    "EdgeLink",
    "Event",
    "FlushTimeout",
    "Offer",
    "OfferRetracted",
    "Refused",
    "RiderClient",
    "RiderStatus",
    "Route",
    "SendBuffer",
    "SendBufferFull",
    "Stop",
    "StopKind",
    "Stopped",
    "Throttled",
    "TokenRefused",
    "Vehicle",
]
