"""Pass a feed on to several listeners."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.live.model import City, LiveFix
from gateway.live.ports import FeedSink


class FanOut:
    """A `FeedSink` that passes everything to several."""

    def __init__(self, *sinks: FeedSink) -> None:
        self._sinks = sinks

    def fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        for sink in self._sinks:
            sink.fixes(city, epoch, fixes)

    def woken(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        for sink in self._sinks:
            sink.woken(city, epoch, order_ids)

    def gap(self) -> None:
        for sink in self._sinks:
            sink.gap()
