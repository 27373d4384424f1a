"""Shifts of riders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Shift:
    """From `on_ms` to `off_ms`, domain milliseconds."""

    on_ms: int
    off_ms: int


class Shifts(Protocol):
    """A rider's working times."""

    def after(self, now_ms: int) -> Shift | None:
        """The first shift that ends after `now_ms`; it may have begun. None: the rider works no more."""


@dataclass(frozen=True, slots=True)
class FixedShifts:
    """Shifts known beforehand, in order."""

    shifts: tuple[Shift, ...]

    def after(self, now_ms: int) -> Shift | None:
        return next((shift for shift in self.shifts if shift.off_ms > now_ms), None)


#: Lunch and dinner, local time: begin and length.
_LUNCH = (time(11, 30), timedelta(hours=4))
_DINNER = (time(18, 0), timedelta(hours=6))
_JITTER_MIN = 40


@dataclass(frozen=True, slots=True)
class DailyShifts:
    """Lunch and dinner, every day, each begun and ended up to `_JITTER_MIN` minutes off, as the rider's habit is."""

    zone: ZoneInfo
    early: timedelta
    late: timedelta

    @classmethod
    def draw(cls, zone: ZoneInfo, rng: Random) -> DailyShifts:
        """A rider's habit."""
        early, late = (timedelta(minutes=rng.randint(0, _JITTER_MIN)) for _ in range(2))
        return cls(zone, early, late)

    def after(self, now_ms: int) -> Shift | None:
        day = datetime.fromtimestamp(now_ms / 1000, self.zone).date() - timedelta(days=1)
        while True:
            for begin, length in (_LUNCH, _DINNER):
                on = datetime.combine(day, begin, self.zone) - self.early
                off = datetime.combine(day, begin, self.zone) + length + self.late
                if off.timestamp() * 1000 > now_ms:
                    return Shift(round(on.timestamp() * 1000), round(off.timestamp() * 1000))
            day += timedelta(days=1)
