"""Ports of live tracking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gateway.live.model import City, CityFrame, LiveFix, OrderFacts, OrderId, Track


class OrderSource(Protocol):
    """Committed state of orders. Reads only, so every call may be tried again."""

    async def facts(self, order_id: OrderId) -> OrderFacts:
        """Facts from the orders service. Raises `NotFound`, or `Retryable` when it is away."""

    async def track(self, city: City, order_id: OrderId, after_seq: int) -> Track | None:
        """Track from dispatch; None when it does not know the order (yet). Raises `Retryable`."""


class FeedSink(Protocol):
    """Listener to a city's feed. Must not block."""

    def fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        """Newest positions of riders of active orders. May be old, repeated, or out of order: compare."""

    def woken(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        """The state of these orders changed: fetch it."""

    def gap(self) -> None:
        """Messages may have been lost: fetch everything."""


class CityFeed(Protocol):
    """Wakes and positions of cities. Nothing is promised: any message may be lost, and `gap` says when many were."""

    def follow(self, city: City) -> None:
        """Wants a city; counted, so follow twice means unfollow twice. Takes effect soon."""

    def unfollow(self, city: City) -> None:
        """Wants it no more."""

    async def run(self, sink: FeedSink) -> None:
        """Feeds the sink until cancelled; a broken connection is made anew with backoff."""


class CityStreams(Protocol):
    """The whole city again and again, for the ops page."""

    def watch(self, city: City) -> AsyncIterator[CityFrame]:
        """Frames, about one a second, until it ends or raises `Retryable` (the owner changed, or is away)."""


class Wire(Protocol):
    """A socket that takes frames while it is ready."""

    @property
    def ready(self) -> bool:
        """Whether a frame written now leaves at once instead of waiting in a buffer."""

    def write(self, frame: bytes) -> None:
        """Sends a frame made by `frames.text_frame`. Only while ready."""
