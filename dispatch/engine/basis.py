"""Basis of a tick: what it went by beside its events, positions and parameters; enough to run it again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Reasons why a cheap answer took the place of a late or lost one, by question of the tick; "" where none did.

    `stops`: plans kept their order of stops. `solver`: greedy solved. `etas`: the plans alone gave the ETAs.
    """

    stops: str = ""
    solver: str = ""
    etas: str = ""


@dataclass(frozen=True, slots=True)
class TickBasis:
    """Basis of a tick beside its logs and parameters.

    The offsets are where its part of either log ends; the fallbacks are as in `Fallbacks`. `renewed`: the learned paces
    were computed anew since the tick before. `lesson`: in the first tick of an owner, the lesson it began with ("":
    none); else None. `owner_began`: in the first tick of an owner, the offset of events at which it began; else None.
    """

    now_ms: int
    pings_offset: int
    events_offset: int
    travel_version: str
    solver_fallback: str = ""
    eta_fallback: str = ""
    renewed: bool = False
    lesson: str | None = None
    stops_fallback: str = ""
    owner_began: int | None = None

    @property
    def fallbacks(self) -> Fallbacks:
        """Fallbacks of the tick, as `run_tick` takes them."""
        return Fallbacks(self.stops_fallback, self.solver_fallback, self.eta_fallback)
