"""Memory that every process of a stack holds, once a second, with its children."""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.stack.stack import LocalStack

_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY_S = 1.0


def group_rss_mb() -> dict[int, float]:
    """Resident megabytes of each process group of this machine."""
    found: dict[int, float] = defaultdict(float)
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                pages = int((folder / "statm").read_text().split()[1])
            except (OSError, IndexError):  # it ended meanwhile
                continue
            found[int(fields[2])] += pages * _PAGE / 1e6
    return found


@dataclass(slots=True)
class Curves:
    """Resident memory by part: (seconds since the beginning, megabytes)."""

    stack: LocalStack
    others: Mapping[str, int]
    began_s: float = field(default_factory=time.monotonic)
    rows: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    async def run(self) -> None:
        """Samples until cancelled."""
        while True:
            self.sample()
            await asyncio.sleep(_EVERY_S)

    def sample(self) -> None:
        """One row of each part that runs."""
        at_s, groups = round(time.monotonic() - self.began_s, 1), group_rss_mb()
        pids = {name: self.stack.pid(name) for name in self.stack.addresses}
        for name, pid in pids.items():
            if pid is not None and pid in groups:
                self.rows.setdefault(name, []).append((at_s, round(groups[pid], 1)))
        for name, pid in self.others.items():
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except OSError:
                continue
            self.rows.setdefault(name, []).append((at_s, round(pages * _PAGE / 1e6, 1)))
