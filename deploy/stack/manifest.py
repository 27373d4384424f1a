"""`stack.json`: what runs where. Written by the running stack, read by every other command."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One part, as the table shows it."""

    name: str
    kind: str
    state: str
    version: str
    address: str
    pid: int | None
    restarts: int
    #: What it is doing just now, when that takes long.
    note: str
    log: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A running stack."""

    pid: int
    folder: str
    #: The connection settings every service of this stack was given; what another process needs to join it.
    env: Mapping[str, str]
    parts: tuple[Row, ...]
    written_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old or the new one. It holds passwords, so mode 0600."""
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(self.as_json(), indent=2) + "\n")
        new.replace(path)


def read(folder: Path) -> Manifest | None:
    """The stack that runs in `folder`, or was killed there; None when there is none."""
    try:
        found = json.loads((folder / "stack.json").read_text())
    except FileNotFoundError:
        return None
    parts = tuple(Row(**row) for row in found.pop("parts"))
    return Manifest(**found, parts=parts)
