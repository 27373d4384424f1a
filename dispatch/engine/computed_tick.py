"""Values that a tick computes, and hashes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatch.engine.basis import Fallbacks
from dispatch.engine.decide import Decisions
from dispatch.engine.digest import digest
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.inputs import Positions
from dispatch.engine.matching.problem import Problem
from dispatch.engine.model import OrderId, RiderId
from dispatch.engine.notes import Note
from dispatch.engine.state import Draft
from dispatch.engine.tracks import TrackChanges


@dataclass(frozen=True, slots=True)
class Matched:
    """A tick up to its decisions.

    `problem` is None where there was nothing to match; `stops_fallback` names why plans kept their order of stops.
    """

    draft: Draft = field(compare=False, repr=False)
    notes: tuple[Note, ...]
    stops_fallback: str
    problem: Problem | None = field(compare=False)  # Arrays: compare `dispatch.engine.digest` of it.
    decisions: Decisions


@dataclass(frozen=True, slots=True)
class ComputedTick:
    """A whole tick, computed; it changes nothing until `CityMemory.apply_tick`.

    `fresh` are the ETAs computed in this tick, `etas` those of all orders under way, `turns` the riders in the order in
    which their ETAs are due.
    """

    now_ms: int
    positions: Positions = field(compare=False)
    notes: tuple[Note, ...]
    problem: Problem | None = field(compare=False)
    decisions: Decisions
    fresh: Mapping[OrderId, Eta]
    etas: Mapping[OrderId, Eta]
    fallbacks: Fallbacks
    turns: tuple[RiderId, ...]
    tracks: TrackChanges

    @property
    def changed(self) -> bool:
        """Whether anything happened that must be stored."""
        return bool(self.decisions.changes) or bool(self.tracks)


@dataclass(frozen=True, slots=True)
class Digests:
    """Hashes of a tick by which a replay is compared: problem, solution, (records, changes), (fresh ETAs, tracks)."""

    problem: str
    solution: str
    decisions: str
    etas_and_tracks: str

    @staticmethod
    def of(tick: ComputedTick) -> Digests:
        """Takes some milliseconds for a big city: call it in a thread."""
        decisions = tick.decisions
        etas = tuple(value for order_id, eta in tick.fresh.items() for value in (order_id, *_plain(eta)))
        return Digests(
            problem=digest(tick.problem),
            solution=digest(decisions.solution),
            decisions=digest((decisions.records, decisions.changes)),
            etas_and_tracks=digest((etas, tick.tracks)),
        )


def _plain(eta: Eta) -> tuple[int | str, ...]:
    """An ETA as plain values: hundreds are hashed in a tick, and one flat tuple of them is hashed at once."""
    quote = eta.quote
    if quote is None:
        return eta.median_ms, eta.p90_ms
    return eta.median_ms, eta.p90_ms, quote.stage.value, quote.made_ms, quote.raw_ms, quote.spread_ms
