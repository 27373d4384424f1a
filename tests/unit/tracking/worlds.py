"""Small worlds for the tests of the edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import structlog

from node.clock import ManualClock
from proto.columns import PING_BATCH
from tracking.adapters.memory import MemoryEventLog, MemoryFixLog, MemoryOffers, MemoryPartitions
from tracking.engine.edge import Edge
from tracking.engine.limits import Limits
from tracking.engine.session import RiderSession
from tracking.model import RawBatch, RiderId
from tracking.ports import EdgePorts

NOW_MS = 1_760_000_000_000
LAT_E7, LNG_E7 = -299_000_000, -712_000_000
CITIES = {"la-serena": 0, "coquimbo": 1}


def batch(first_seq: int, n: int = 1, **changed: Any) -> RawBatch:
    """A good batch of n fixes, but for the columns given as a value for all or as a list."""
    good: dict[str, Any] = {
        "seq": list(range(first_seq, first_seq + n)),
        "ts_ms": NOW_MS,
        "lat_e7": LAT_E7,
        "lng_e7": LNG_E7,
        "accuracy_dm": 50,
        "heading_cdeg": 9_000,
        "speed_cms": 500,
    }
    columns = [np.broadcast_to(np.array({**good, **changed}[name], kind), n) for name, kind in PING_BATCH.items()]
    seq, ts_ms, lat, lng, accuracy, heading, speed = (column.tobytes() for column in columns)
    return (seq, ts_ms, lat, lng, accuracy, heading, speed)


@dataclass(slots=True)
class EdgeWorld:
    """An edge on memory logs with a clock that stands still."""

    limits: Limits = field(default_factory=Limits)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW_MS))
    fix_log: MemoryFixLog = field(default_factory=MemoryFixLog)
    event_log: MemoryEventLog = field(default_factory=MemoryEventLog)
    offers: MemoryOffers = field(default_factory=MemoryOffers)
    edge: Edge = field(init=False)

    def __post_init__(self) -> None:
        ports = EdgePorts(MemoryPartitions(CITIES), self.fix_log, self.event_log, self.offers)
        self.edge = Edge(ports, self.clock, self.limits, structlog.get_logger(), linger_ms=1)

    def rider(self, number: int, city: str = "la-serena", last_session: int = 0) -> RiderSession:
        """A rider's open session."""
        return self.edge.open(RiderId(number), city, NOW_MS, last_session)

    def send(self, session: RiderSession, first_seq: int, n: int = 1, **changed: Any) -> None:
        """A batch of a rider."""
        self.edge.fixes(session, batch(first_seq, n, **changed), n, first_seq, first_seq + n - 1)

    def logged(self) -> list[tuple[int, int, int]]:
        """(rider, session, seq) of all fixes in the log, in its order."""
        return [
            key
            for messages in self.fix_log.messages.values()
            for _, fixes in messages
            for key in zip(fixes.rider_id.tolist(), fixes.session.tolist(), fixes.seq.tolist(), strict=True)
        ]
