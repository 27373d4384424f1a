"""A tick that is decided and not yet committed, and what it went by."""

from __future__ import annotations

from dataclasses import dataclass

from dispatch.engine.log_inputs import LogEvent
from dispatch.engine.model import OrderId
from dispatch.engine.results import TickResult
from dispatch.logs.cut import AppliedRange


@dataclass(frozen=True, slots=True)
class TickBasis:
    """Basis of a tick beside its logs and parameters: enough to run it again.

    The offsets are where its part of either log ends. The fallbacks name why greedy had to solve, and why the plans
    alone had to answer for ETAs; "" where neither had to. `renewed`: the learned paces were computed anew since the
    tick before. `lesson`: in the first tick of an owner, the lesson it began with ("": none); else None.
    """

    now_ms: int
    pings_offset: int
    events_offset: int
    travel_version: str
    solver_fallback: str = ""
    eta_fallback: str = ""
    renewed: bool = False
    lesson: str | None = None


@dataclass(frozen=True, slots=True)
class DecidedTick:
    """A tick from its events to its result; `ignored` are orders whose openings it left out, long opened before."""

    events: tuple[LogEvent, ...]
    ignored: tuple[OrderId, ...]
    applied: AppliedRange
    basis: TickBasis
    result: TickResult
