"""Offsets up to which a city's owner has applied its two logs."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Cut:
    """Offsets of both logs below which everything has been applied.

    `incarnation` names the log itself: when it changed, the log was replaced and the offsets mean nothing.
    """

    incarnation: str
    partition: int
    pings_offset: int
    events_offset: int

    def start(self) -> Cut:
        """The beginning of the same log."""
        return replace(self, pings_offset=0, events_offset=0)


@dataclass(frozen=True, slots=True)
class AppliedRange:
    """Offsets that this owner applied without a hole: [first, cut) of both logs."""

    first: Cut
    cut: Cut
