"""Errors of the replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Lines that a message names; the others are counted.
_NAMED: Final = 20


class ReplayError(Exception):
    """A replay cannot go on."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """Error in a line of an instance's file; line 0: in the file as a whole."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


class BadInstance(ReplayError):
    """Files of an instance cannot be read: names every bad line, the first twenty in its message."""

    def __init__(self, lines: Sequence[BadLine]) -> None:
        more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
        super().__init__("; ".join(map(str, lines[:_NAMED])) + more)
        self.lines = tuple(lines)
