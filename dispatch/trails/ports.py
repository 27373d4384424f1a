"""Ports of trails: hot store, archive, hours to be compacted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatch.logs.cut import Cut
from dispatch.trails.model import TrailColumns
from proto.fix_columns import FixColumns


class HotTrails(Protocol):
    """Trails of the last hours, every fix. Any call may raise `Retryable`; `Invalid` when too much is asked at once."""

    async def of_rider(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> FixColumns:
        """A rider's fixes within a span of time, sorted by (session, seq)."""

    async def around(
        self, city: str, at: tuple[int, int], radius_m: float, from_ms: int, to_ms: int, most: int
    ) -> FixColumns:
        """All fixes within a span of a few minutes of the riders who may have been near a place then.

        Raises `TooMany` when more than `most` rider-minutes may have been.
        """


@dataclass(frozen=True, slots=True, eq=False)
class HourPart:
    """Some riders' fixes of an hour, and the documents that they came from: `seen` is id -> version."""

    fixes: FixColumns
    seen: Mapping[str, int]


class OpenHours(Protocol):
    """Hours of trails that are not in the archive as they are now. Any call may raise `Retryable`."""

    async def cities(self) -> Sequence[str]:
        """Cities that have trails."""

    async def next_open(self, city: str, from_hour: int) -> int | None:
        """The first hour (domain hours since the epoch) from one on that has something which is not archived."""

    async def riders(self, city: str, hour: int) -> Sequence[int]:
        """Riders with fixes in an hour, archived or not; ascending."""

    async def part(self, city: str, hour: int, rider_ids: Sequence[int]) -> HourPart:
        """Their fixes of that hour."""

    async def archived(self, seen: Mapping[str, int], keep_h: int) -> int:
        """Mark chunks as archived: they expire in so many wall hours. Returns how many changed since they were seen."""


class HourWriter(Protocol):
    """An hour on its way into the archive."""

    def add(self, points: TrailColumns) -> None:
        """Riders after those that were added before."""

    def finish(self) -> None:
        """Verifies what was written, and puts it into the place of what was there. Raises `ArchiveBroken`."""

    def abandon(self) -> None:
        """Leaves everything as it was."""


class TrailArchive(Protocol):
    """Simplified trails for good, a file a city and hour. Calls block; any may raise `Retryable`."""

    def read(self, city: str, hour: int, rider_ids: Sequence[int] | None = None) -> tuple[TrailColumns, float] | None:
        """An hour's points, of all riders or of some, and its error in metres; None when it is not archived."""

    def around(self, city: str, hour: int, at_ms: int, most: int) -> tuple[TrailColumns, float] | None:
        """Points of every rider of an hour before and after that time, and the hour's error; None as above.

        In no more memory than `most` riders' points and a part of the file. Raises `TooMany` for more riders.
        """

    def begin(self, city: str, hour: int, error_m: float) -> HourWriter:
        """Begins to write an hour, anew or in the place of what is there."""


class TrailStore(Protocol):
    """Store of trails. Any call may raise `Retryable`."""

    async def position(self, city: str) -> Cut | None:
        """Log position up to which a city's trails are stored; None when there are none."""

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        """Adds fixes to trails. The same fixes again change nothing, in whatever pieces they come."""

    async def advance(self, city: str, epoch: int, cut: Cut) -> None:
        """Stores how far the trails go; nothing when a higher epoch has done so."""
