"""A tick that is decided and not yet committed, and what it went by."""

from __future__ import annotations

from dataclasses import dataclass

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import ComputedTick
from dispatch.engine.log_inputs import LogEvent
from dispatch.engine.model import OrderId
from dispatch.logs.cut import AppliedRange


@dataclass(frozen=True, slots=True)
class DecidedTick:
    """A tick with its events and basis; `ignored` are orders whose openings it left out, long opened before."""

    events: tuple[LogEvent, ...]
    ignored: tuple[OrderId, ...]
    applied: AppliedRange
    basis: TickBasis
    computed: ComputedTick
