"""Named SQL: the files of a folder, by name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace


def statements(folder: Path) -> SimpleNamespace:
    """`statements(folder).place` is the text of `place.sql`."""
    return SimpleNamespace(**{file.stem: file.read_text() for file in sorted(folder.glob("*.sql"))})
