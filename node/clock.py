"""Two clocks, named apart everywhere.

*wall* is the time of machines: leases, acks, tokens, TTLs, latencies. *domain* is the time of the city: offers,
kitchens, ETAs, staleness. They are tied by a line,

    domain = anchor_domain + (wall - anchor_wall) * speed

so that a demo at 60x and a replay are the same system. At speed 1 with equal anchors the two are one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Source of time. Nothing else in Forno reads a clock."""

    def wall_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""

    def domain_ms(self) -> int:
        """Domain time in milliseconds since the epoch."""

    def monotonic_s(self) -> float:
        """Seconds that never go back; for measuring spans of wall time."""

    def wall_of_domain_ms(self, domain_ms: int) -> float:
        """The wall time, in milliseconds since the epoch, at which it was (or will be) that domain time."""


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock, and the domain clock that runs `speed` times as fast since the anchor."""

    speed: float = 1.0
    anchor_wall_ms: int = 0
    anchor_domain_ms: int = 0

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def domain_ms(self) -> int:
        elapsed_ms = time.time_ns() / 1e6 - self.anchor_wall_ms
        return self.anchor_domain_ms + int(elapsed_ms * self.speed)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_of_domain_ms(self, domain_ms: int) -> float:
        return self.anchor_wall_ms + (domain_ms - self.anchor_domain_ms) / self.speed


class ManualClock:
    """A clock that stands still until told to go on; for tests and replays. Both times advance together."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms

    def wall_ms(self) -> int:
        return self._now_ms

    def domain_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._now_ms / 1000

    def wall_of_domain_ms(self, domain_ms: int) -> float:
        return float(domain_ms)

    def advance(self, ms: int) -> None:
        """Moves both clocks on by `ms` >= 0."""
        if ms < 0:
            raise ValueError(f"time does not go back: {ms} ms")
        self._now_ms += ms
