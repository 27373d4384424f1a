"""Seconds spent over seconds expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: No factor leaves this and its inverse.
_MOST: Final = 4.0


@dataclass(slots=True)
class Ratio:
    """Two sums whose ratio is a factor, shrunk towards 1."""

    expected_s: float = 0.0
    spent_s: float = 0.0

    def add(self, expected_s: float, spent_s: float, memory_s: float) -> None:
        """Add what was seen; beyond `memory_s` all of it counts half."""
        self.expected_s += expected_s
        self.spent_s += spent_s
        if self.expected_s > memory_s:
            self.fade(0.5)

    def fade(self, part: float) -> None:
        """The past counts less."""
        self.expected_s *= part
        self.spent_s *= part

    def factor(self, shrink_s: float) -> float:
        """The ratio, as if `shrink_s` seconds more had been seen that took what was expected."""
        found = (self.spent_s + shrink_s) / (self.expected_s + shrink_s)
        return min(_MOST, max(1 / _MOST, found))
