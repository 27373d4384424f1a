"""Named SQL: a file in which each statement begins with a line `-- name: …`."""

from __future__ import annotations

import re
from pathlib import Path


def statements(file: Path) -> dict[str, str]:
    """The statements of a file by name."""
    parts = re.split(r"^-- name: (.+)$", file.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
