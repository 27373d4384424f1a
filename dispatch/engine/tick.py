"""The city engine: a pure function of its inputs.

One tick is

    draft = Draft(state)
    notes = apply(draft, inputs, now_ms, params)             # what happened
    notes += close_expired(draft, positions, now_ms, params)  # what timed out
    resequence(draft, positions, now_ms, travel, params)      # plans in a better order, where there is one
    problem = pose(draft, positions, now_ms, travel, params)  # what is to be decided
    solution = solve(problem, params)                        # in a worker process, if live
    decisions = decide(draft, problem, solution, tick_id, params)
    ...                                                      # one transaction stores decisions.changes
    state.commit(decisions.changes)                          # only once it has committed

Equal state, inputs, positions, travel version and params give equal decisions, byte for byte. Inputs that
arrive between `apply` and `commit` wait for the next tick. Nothing here does I/O, reads a clock or logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dispatch.engine.apply import apply
from dispatch.engine.decide import Decisions, decide
from dispatch.engine.eta.resequence import resequence
from dispatch.engine.inputs import Input, Positions
from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.solve import solve
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.pose import pose
from dispatch.engine.state import Changes, CityState, Draft
from dispatch.engine.timeouts import close_expired

__all__ = [
    "Changes",
    "CityState",
    "Decisions",
    "Draft",
    "Note",
    "NoteKind",
    "Problem",
    "Solution",
    "TickResult",
    "apply",
    "close_expired",
    "decide",
    "needs_matching",
    "nothing_decided",
    "pose",
    "resequence",
    "run_tick",
    "solve",
]


@dataclass(frozen=True, slots=True)
class TickResult:
    """Notes and decisions of one tick run in one go; `problem` is None where there was nothing to match."""

    notes: tuple[Note, ...]
    problem: Problem | None = field(compare=False)  # Arrays: compare `dispatch.engine.digest` of it.
    decisions: Decisions


def needs_matching(draft: Draft, params: EngineParams) -> bool:
    """Whether a tick has anything to match: without it, it poses and solves nothing."""
    return params.rebundle or any(order.matchable for order in draft.orders())


def nothing_decided(draft: Draft) -> Decisions:
    """The decisions of a tick that had nothing to match: what happened, and no more."""
    return Decisions((), (), (), (), Solution((), "nothing to match", 0, 0.0, "none"), draft.changes())


def run_tick(
    state: CityState,
    inputs: Iterable[Input],
    positions: Positions,
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
    tick_id: str,
    fallback: str = "",
) -> TickResult:
    """A whole tick in one process; the caller commits. A replay passes the recorded `fallback`."""
    draft = Draft(state)
    notes = apply(draft, inputs, now_ms, params)
    notes += close_expired(draft, positions, now_ms, params)
    resequence(draft, positions, now_ms, travel, params)
    if not needs_matching(draft, params):
        return TickResult(tuple(notes), None, nothing_decided(draft))
    problem = pose(draft, positions, now_ms, travel, params)
    solution = solve(problem, params, fallback)
    return TickResult(tuple(notes), problem, decide(draft, problem, solution, tick_id, params))
