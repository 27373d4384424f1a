"""The two input logs of a city, as its readers need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatch.engine.log_inputs import LogEvent
from dispatch.logs.cut import Cut
from proto.fix_columns import FixColumns


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """Result of one read of the logs. `cut` is the position after it.

    `pings_first` and `events_first` are the offsets of the first messages, to notice holes.
    `packed_wall_ms` is when the oldest batch of fixes was packed by its edge; 0 without fixes.
    """

    fixes: Sequence[FixColumns]
    events: Sequence[LogEvent]
    cut: Cut
    pings_first: int
    events_first: int
    packed_wall_ms: int = 0


class CityLogs(Protocol):
    """Both input logs of one city, each in order, from a position on. Any call may raise `Retryable`.

    Offsets before the log's beginning or beyond its end are put right by `open`. `read` and `ends` raise `LogReplaced`
    when the log is another one by now: close, and open anew.
    """

    async def open(self, partition: int, cut: Cut | None, rewind_ms: int) -> Cut:
        """Goes to `cut`, for fixes `rewind_ms` (wall) back; to the beginnings when the cut is of another log or None.

        Returns where reading begins: offsets and incarnation as they are.
        """

    async def read(self, timeout_s: float) -> Read:
        """Read what comes next; waits for something up to `timeout_s`, then returns an empty read."""

    async def ends(self) -> Cut:
        """End offsets of both logs."""

    async def ids_before(self, cut: Cut, count: int) -> Sequence[str]:
        """Ids of up to `count` events before the cut, oldest first."""

    def follow_only(self) -> None:
        """Another owner sets aside what cannot be read: here it is kept until `own` is called, the newest of it."""

    def own(self) -> None:
        """The reader owns the city from now on: with the next read, what could not be read is set aside."""

    async def set_aside(self, event: LogEvent, reason: str) -> None:
        """Sets an event aside that was read and that nothing can be done with (`node.set_aside`). Idempotent."""

    async def close(self) -> None:
        """Lets go of the connection. Idempotent."""
