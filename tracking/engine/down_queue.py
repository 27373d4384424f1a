"""Bounded queue of messages to one rider's app:

acks, throttle, route   the newest only
offers, retractions     one an offer
refusals                at most `MAX_REFUSALS`; beyond, the stream is not read (the edge asks `full`)
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from node.errors import FornoError
from tracking.model import Offer, Refusal, Route

MAX_REFUSALS = 64


@dataclass(frozen=True, slots=True)
class Acked:
    """Acknowledgement: everything up to `seq` is durable or refused."""

    seq: int


@dataclass(frozen=True, slots=True)
class Retracted:
    """The offer is not open any more."""

    offer_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Send at most so many fixes a second; 0: no limit."""

    max_fixes_per_s: float


@dataclass(frozen=True, slots=True)
class GoAway:
    """Connect again after the delay."""

    after_ms: int


Down = Acked | Offer | Retracted | Route | Throttled | GoAway | Refusal


class DownQueue:
    """Messages to one rider's app; filled by the edge, emptied by the stream's writer."""

    __slots__ = ("_ack", "_changed", "_goaway", "_offers", "_refusals", "_room", "_route", "_throttle", "end")

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ack = 0
        self._refusals: deque[Refusal] = deque()
        self._offers: dict[str, Offer | Retracted] = {}
        self._route: Route | None = None
        self._throttle: Throttled | None = None
        self._goaway: GoAway | None = None
        #: Set by `close`: why the stream ends once all is sent; None inside means in good order.
        self.end: tuple[FornoError | None] | None = None

    def ack(self, seq: int) -> None:
        self._ack = seq
        self._changed.set()

    def refuse(self, refusal: Refusal) -> None:
        self._refusals.append(refusal)
        self._changed.set()

    def offer(self, message: Offer | Retracted) -> None:
        self._offers[message.offer_id] = message
        self._changed.set()

    def route(self, route: Route) -> None:
        self._route = route
        self._changed.set()

    def throttle(self, max_fixes_per_s: float) -> None:
        self._throttle = Throttled(max_fixes_per_s)
        self._changed.set()

    def go_away(self, after_ms: int) -> None:
        self._goaway = GoAway(after_ms)
        self._changed.set()

    def close(self, error: FornoError | None = None) -> None:
        """The writer sends what is here, then ends the stream (with the error, if there is one)."""
        if self.end is None:
            self.end = (error,)
        self._changed.set()
        self._room.set()

    @property
    def full(self) -> bool:
        """Whether the reader must wait for `room`."""
        return len(self._refusals) >= MAX_REFUSALS and self.end is None

    async def room(self) -> None:
        """Returns when the writer has taken something."""
        self._room.clear()
        await self._room.wait()

    @property
    def pending(self) -> bool:
        """Whether something came in since `take`."""
        return bool(self._ack or self._refusals or self._offers or self._route or self._throttle or self._goaway)

    async def wait(self) -> None:
        """Returns when there is something to `take`, or the stream is to end."""
        await self._changed.wait()

    def take(self) -> list[Down]:
        """All that is to be sent now. Refusals come before the ack that covers them."""
        self._changed.clear()
        self._room.set()
        out: list[Down] = []
        if self._refusals:
            out += self._refusals
            self._refusals.clear()
        if self._ack:
            out.append(Acked(self._ack))
            self._ack = 0
        if self._offers:
            out += self._offers.values()
            self._offers.clear()
        for one in (self._route, self._throttle, self._goaway):
            if one is not None:
                out.append(one)
        self._route = self._throttle = self._goaway = None
        return out
