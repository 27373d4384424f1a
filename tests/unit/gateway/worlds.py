"""Named small worlds of live tracking."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gateway.live.model import (
    City,
    LiveFix,
    OrderFacts,
    OrderId,
    Place,
    RiderFix,
    StatusEvent,
    Stop,
    Track,
)

CITY = City("la-serena")
ORDER = OrderId("0198c0de-0000-7000-8000-000000000001")
RIDER = 2**63 + 17
CLOCK_LINE = {"speed": 1.0, "anchor_wall_ms": 0, "anchor_domain_ms": 0}
KITCHEN = Place(-299_045_000, -712_489_000)
DOOR = Place(-299_200_000, -712_600_000)


def order_at_the_kitchen(**changes: Any) -> OrderFacts:
    """Accepted by the restaurant; dispatch may or may not know it."""
    history = tuple(StatusEvent(0, word, at) for at, word in enumerate(("placed", "authorised", "accepted"), 1))
    facts = {
        "order_id": ORDER,
        "user_id": "ana",
        "city": CITY,
        "status": "accepted",
        "history": history,
        "restaurant_name": "Da Ana",
        "restaurant": KITCHEN,
        "dropoff": DOOR,
        "promised_ms": 9_000,
        "eta_ms": 0,
    }
    return OrderFacts(**{**facts, **changes})


def track(*words: str, epoch: int = 1, rider: RiderFix | None = None, stops: tuple[Stop, ...] = ()) -> Track:
    """Dispatch's track of an order after these states, one event each."""
    events = tuple(StatusEvent(seq, word, 100 * seq) for seq, word in enumerate(words, 1))
    return Track(words[-1], events, epoch, rider, 5_000, 6_000, stops)


def fix(seq: int, *, picked_up: bool = False, session: int = 1, rider_id: int = RIDER, lat_e7: int = 0) -> LiveFix:
    """A fix of the order's rider, a second after the one before."""
    at = lat_e7 or KITCHEN.lat_e7 - seq * 1000
    return LiveFix(ORDER, rider_id, at, KITCHEN.lng_e7, seq * 1000, session, seq, 9000, 5_000, picked_up)


def read(frame: bytes) -> dict[str, Any]:
    """The JSON of a frame; checks the WebSocket header on the way."""
    assert frame[0] == 0x81
    size, start = frame[1], 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert len(frame) == start + size
    value: dict[str, Any] = json.loads(frame[start:])
    return value


@dataclass
class StiffWire:
    """A `Wire` that takes `room` frames and then none, until room is made."""

    room: int = 10**9
    taken: list[bytes] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        return self.room > 0

    def write(self, frame: bytes) -> None:
        assert self.ready
        self.room -= 1
        self.taken.append(frame)
