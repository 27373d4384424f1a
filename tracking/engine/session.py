"""One session of a rider, and the rule by which sessions follow one another."""

from __future__ import annotations

from dataclasses import dataclass, field

from tracking.engine.down_queue import DownQueue
from tracking.engine.ledger import AckLedger
from tracking.engine.offers import SessionOffers
from tracking.errors import BadHello
from tracking.model import RiderId, SessionId

#: A session far ahead of the clock would outlive every later one: a client cannot claim one.
MAX_SESSION_AHEAD_MS = 24 * 3_600_000


@dataclass(slots=True, eq=False)
class RiderSession:
    """State of one rider's stream. `row` is its row in the `StreamTable`."""

    rider_id: RiderId
    session: SessionId
    city: str
    row: int
    ledger: AckLedger = field(default_factory=AckLedger)
    down_queue: DownQueue = field(default_factory=DownQueue)
    offers: SessionOffers = field(default_factory=SessionOffers)
    #: The highest sequence number received; messages with a lower or equal one are refused.
    received: int = 0
    #: Not before this (monotonic) is the next ack due; the last one acknowledged up to `acked`.
    next_ack_s: float = 0.0
    acked: int = 0
    #: Whether the stream is open, and whether what comes up is still taken.
    open: bool = True
    reading: bool = True


def next_session(wall_ms: int, last_session: int) -> SessionId:
    """The session after `last_session`: the wall clock's milliseconds, or one more than the last. Raises `BadHello`."""
    if last_session > wall_ms + MAX_SESSION_AHEAD_MS:
        raise BadHello("hello.last_session", f"no edge has issued session {last_session} yet")
    return SessionId(max(wall_ms, last_session + 1))
