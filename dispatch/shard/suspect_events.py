"""Find the event for which the database refuses a tick, by halving, so that the city goes on without it.

    8 events: refused ──> 4: stored ──> 2 of the rest: refused ──> 1: stored ──> none: stored ──> the next is at fault

A tick without events comes before the verdict: what is refused even then is no event's fault.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SuspectEvents:
    """The first `count` waiting events, one of which was refused for a reason; none while ticks are stored."""

    count: int = 0
    reason: str = ""

    def limit(self, most: int) -> int:
        """How many events the next tick may take."""
        return self.count // 2 if self.count else most

    def refused(self, events: int, reason: str) -> None:
        """A tick with so many events was refused."""
        self.count, self.reason = events, reason

    def stored(self, events: int) -> bool:
        """A tick with so many events was not refused. Whether the event that waits first is found to be at fault."""
        found = self.count == 1 and not events
        self.count = 0 if found else max(0, self.count - events)
        return found
