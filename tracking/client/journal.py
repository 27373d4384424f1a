"""Journal of acknowledged messages, to check that nothing acknowledged is lost.

Numbers are kept as ranges of (session, first, last), so that hours of riding fit in a few lines. Tests compare a
journal with a full read of the log: every number in `acked_fixes` must be a fix in `rider.pings`, every one in
`acked_events` the event `<rider>-<session>-<seq>` in `city.events`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Range = tuple[int, int, int]


@dataclass(slots=True)
class Ranges:
    """Sequence numbers by session, merged while they are consecutive."""

    items: list[Range] = field(default_factory=list)

    def add(self, session: int, first: int, last: int) -> None:
        """Adds `first`..`last` of a session."""
        if self.items:
            of, begin, end = self.items[-1]
            if of == session and end + 1 == first:
                self.items[-1] = (of, begin, last)
                return
        self.items.append((session, first, last))

    def __len__(self) -> int:
        return sum(last - first + 1 for _, first, last in self.items)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """All (session, seq)."""
        for session, first, last in self.items:
            for seq in range(first, last + 1):
                yield session, seq


@dataclass(slots=True)
class AckJournal:
    """Acknowledged messages of one rider. `sent_fixes` counts each number sent, resent ones in each session."""

    acked_fixes: Ranges = field(default_factory=Ranges)
    acked_events: Ranges = field(default_factory=Ranges)
    refused: Ranges = field(default_factory=Ranges)
    sent_fixes: int = 0
    sent_events: int = 0
    thinned_fixes: int = 0
    sessions: int = 0
