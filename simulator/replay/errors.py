"""Errors of the replay."""

from __future__ import annotations

from pathlib import Path


class ReplayError(Exception):
    """A replay cannot go on."""


class BadInstance(ReplayError):
    """A file of an instance cannot be read: names file, line (0: the file as a whole) and reason."""

    def __init__(self, file: Path, line: int, reason: str) -> None:
        at = f"{file}:{line}" if line else str(file)
        super().__init__(f"{at}: {reason}")
        self.file, self.line, self.reason = file, line, reason
