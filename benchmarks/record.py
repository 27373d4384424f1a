"""Reports of the benches: figures against their targets and peers, with the machine and the commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.documents import BadDocument, Flaw, parse_json, read_text
from node.table import Number, show

_MAX_REPORT_BYTES = 64 << 20

#: Tells what is being done; a run takes minutes.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value, and the bounds it must keep: none, one or both."""

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    #: What a peer did with the same data, and who that is.
    peer: float | None = None
    peer_name: str = ""

    @property
    def met(self) -> bool:
        """Whether it is within its bounds; what is not a number never is."""
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def judged(self) -> bool:
        """Whether it has a bound at all; else it is only shown."""
        return self.low is not None or self.high is not None

    @property
    def target(self) -> str:
        """The bounds in words."""
        if self.low is not None and self.high is not None:
            return f"{plain(self.low)}..{plain(self.high)}"
        if self.low is not None:
            return f">= {plain(self.low)}"
        return f"<= {plain(self.high)}" if self.high is not None else "none"

    def row(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return {
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "ratio": round(self.value / self.peer, 3) if self.peer else None,
            "met": self.met if self.judged else None,
        }

    def cells(self) -> tuple[str, str, str, str]:
        """Cells for people: verdict, value, target, and what it is of."""
        verdict = ("met" if self.met else "MISSED") if self.judged else "told"
        peer = f" ({self.peer_name} {self.peer:,.4g})" if self.peer is not None else ""
        return verdict, f"{self.value:,.6g} {self.unit}".rstrip(), self.target, f"{self.name}{peer}"


def at_least(name: str, value: float, target: float, unit: str, peer: float | None = None, of: str = "") -> Figure:
    """A figure of which more is better."""
    return Figure(name, value, unit, low=target, peer=peer, peer_name=of)


def at_most(name: str, value: float, target: float, unit: str, peer: float | None = None, of: str = "") -> Figure:
    """A figure of which less is better."""
    return Figure(name, value, unit, high=target, peer=peer, peer_name=of)


def document(
    figures: Sequence[Figure], sections: Mapping[str, Any], plain_values: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """The JSON of a run. `plain_values` go into the summary by name, before the figures."""
    return {
        "machine": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "load_average_at_end": os.getloadavg(),
        },
        "commit": commit(),
        "summary": {**plain_values, **{figure.name: figure.row() for figure in figures}},
        **sections,
    }


@contextmanager
def report_of(file: Path) -> Iterator[dict[str, Any]]:
    """The report that `document` wrote. What turns out to be missing or of another kind while it is used, too, ends in
    `BadDocument`.
    """
    try:
        report = parse_json(read_text(file, _MAX_REPORT_BYTES), str(file))
        for part in ("machine", "summary"):
            if not isinstance(report[part], dict):
                raise BadDocument(str(file), [Flaw(part, "must be an object")])
        yield report
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BadDocument(str(file), [Flaw("", f"is not a report of a bench: {error!r}")]) from error


def conclude(figures: Sequence[Figure], report: Mapping[str, Any], file: Path | None) -> int:
    """Prints the figures, writes the report; the exit code: 1 when a figure falls short."""
    show("", ("", Number("value"), Number("target"), "what"), [figure.cells() for figure in figures])
    if file is not None:
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1


def plain(value: float) -> str:
    """Four digits that count; thousands and whole numbers in full."""
    return f"{value:,.0f}" if abs(value) >= 1000 or float(value).is_integer() else f"{value:.4g}"


def commit() -> str:
    """The commit of the working copy, or "unknown" outside of one."""
    try:
        words = ["git", "rev-parse", "HEAD"]
        found = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
