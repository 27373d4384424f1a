"""Find the event for which the database refuses a tick, by halving, so that the city goes on without it.

    8 events: refused ──> 4: stored ──> 2: stored ──> 1: stored ──> the last one: refused ──> none: stored ──> at fault

An event is at fault when a tick with it alone was refused, and then a tick without events was stored: a refusal that
passes by itself, and one without any event, is no event's fault.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SuspectEvents:
    """The first `count` waiting events, one of which was refused for a reason; none while ticks are stored."""

    count: int = 0
    reason: str = ""
    #: The last tick refused had exactly one event.
    alone: bool = False

    def limit(self, most: int) -> int:
        """Number of events that the next tick may take."""
        if not self.count:
            return most
        return 0 if self.alone else max(1, self.count // 2)

    def refused(self, events: int, reason: str) -> None:
        """A tick with so many events was refused."""
        self.count, self.reason, self.alone = events, reason, events == 1

    def stored(self, events: int) -> bool:
        """A tick with so many events was not refused. Whether the event that waits first is found to be at fault."""
        found = self.alone
        self.count = 0 if found else max(0, self.count - events)
        self.alone = False
        return found
