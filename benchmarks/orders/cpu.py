"""CPU that a process and its children have used, from Linux's /proc."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of user and system time; children that have ended and were waited for are counted with their parent."""
    parent: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            parent[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = sum(map(int, fields[11:15])) * _TICK_S
    return sum(seconds for one, seconds in used.items() if pid in _line(one, parent))


def _line(pid: int, parent: dict[int, int]) -> list[int]:
    """The process and its ancestors."""
    line = []
    while pid in parent:
        line.append(pid)
        pid = parent[pid]
    return line
