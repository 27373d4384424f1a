"""A figure, what it should be, and what others reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` should be at most `target`; `peer` is what somebody else reached with the same data, if known."""

    group: str
    figure: str
    value: float
    target: float
    peer: float | None = None
    peer_name: str = ""

    @property
    def met(self) -> bool:
        """The target is reached."""
        return self.value <= self.target

    def plain(self) -> dict[str, object]:
        """For the JSON report."""
        return {
            "group": self.group,
            "figure": self.figure,
            "value": self.value,
            "target": self.target,
            "peer": self.peer,
            "peer_name": self.peer_name,
            "ratio": round(self.value / self.peer, 4) if self.peer else None,
            "met": self.met,
        }

    def line(self) -> str:
        """For people."""
        peer = f"; {self.peer_name or 'peer'} {self.peer:g}" if self.peer is not None else ""
        verdict = "met" if self.met else "MISSED"
        return f"{verdict:<6} {self.group}: {self.figure} {self.value:g}, target at most {self.target:g}{peer}"
