"""How the benches of motion report: figures against their targets and peers, with the machine and the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Tells what is being done; a run takes minutes.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value beside its target. With `at_least` more is better, else less is."""

    name: str
    value: float
    target: float
    unit: str
    at_least: bool
    #: What the peer did in the same run, and how it was done.
    peer: float | None = None
    peer_name: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "value": self.value,
            "unit": self.unit,
            "target": f"{'>=' if self.at_least else '<='} {self.target:g}",
            "peer": self.peer,
            "peer_name": self.peer_name,
            "ratio": round(self.value / self.peer, 3) if self.peer else None,
            "met": self.met,
        }

    def line(self) -> str:
        """For people."""
        peer = f"  ({self.peer_name} {self.peer:,.4g})" if self.peer is not None else ""
        sign = ">=" if self.at_least else "<="
        verdict = "met   " if self.met else "MISSED"
        return f"{verdict} {self.name}: {self.value:,.6g} {self.unit}, target {sign} {self.target:,.6g}{peer}"


def at_least(name: str, value: float, target: float, unit: str, peer: float | None = None, of: str = "") -> Figure:
    """A figure of which more is better."""
    return Figure(name, value, target, unit, True, peer, of)


def at_most(name: str, value: float, target: float, unit: str, peer: float | None = None, of: str = "") -> Figure:
    """A figure of which less is better."""
    return Figure(name, value, target, unit, False, peer, of)


def document(figures: Iterable[Figure], sections: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a run."""
    return {
        "machine": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_at_end": os.getloadavg(),
        },
        "commit": commit(),
        "summary": {figure.name: figure.row() for figure in figures},
        **sections,
    }


def commit() -> str:
    """The commit of the working copy, or "unknown" outside of one."""
    try:
        words = ["git", "rev-parse", "HEAD"]
        found = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
