"""One tick of a city: from its inputs to decisions, ETAs and tracks. A pure function.

`tick` is a generator: it yields its questions (put stops in order, solve the problem, estimate arrivals) and is sent
their answers, so that the same steps run in one process (`run_tick`) and over the worker process of a live shard
(`dispatch.shard.driver`). It changes nothing: `CityMemory.apply_tick` takes its result over, once it is stored.

Equal memory, inputs, positions, travel version, params and fallbacks give equal results, byte for byte. Inputs that
arrive meanwhile wait for the next tick. Nothing here does I/O, reads a clock or logs.
"""

from __future__ import annotations

from collections.abc import Iterable

from dispatch.engine.apply import apply
from dispatch.engine.basis import Fallbacks
from dispatch.engine.computed_tick import ComputedTick, Matched
from dispatch.engine.decide import Decisions, decide
from dispatch.engine.eta.estimate import arrivals_to_estimate, carried_on
from dispatch.engine.eta.resequence import rearrange, stops_to_sequence
from dispatch.engine.inputs import Input, Positions
from dispatch.engine.matching.problem import Solution
from dispatch.engine.memory import CityMemory
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.pose import pose
from dispatch.engine.questions import (
    EstimateArrivals,
    LocalAnswers,
    SequenceStops,
    SolveProblem,
    Steps,
    ask,
    run_steps,
)
from dispatch.engine.state import CityState, Draft
from dispatch.engine.timeouts import close_expired
from dispatch.engine.track_updates import update_tracks
from dispatch.positions import PositionSnapshot


def match_orders(
    state: CityState,
    inputs: Iterable[Input],
    positions: Positions,
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
    tick_id: str,
) -> Steps[Matched]:
    """The tick up to its decisions: what happened, plans in a better order, who is offered which orders."""
    draft = Draft(state)
    notes = apply(draft, inputs, now_ms, params)
    notes += close_expired(draft, positions, now_ms, params)
    choices = stops_to_sequence(draft, positions, now_ms, travel, params)
    sequenced = yield from ask(SequenceStops(tuple(choice.asked for choice in choices)))
    rearrange(draft, choices, sequenced.sequences, now_ms, params)
    if not _needs_matching(draft, params):
        return Matched(draft, tuple(notes), sequenced.fallback, None, _nothing_decided(draft))
    problem = pose(draft, positions, now_ms, travel, params)
    solution = yield from ask(SolveProblem(problem))
    decisions = decide(draft, problem, solution, tick_id, params)
    return Matched(draft, tuple(notes), sequenced.fallback, problem, decisions)


def tick(
    memory: CityMemory,
    inputs: Iterable[Input],
    seen: PositionSnapshot,
    travel: TravelTimes,
    params: EngineParams,
    tick_id: str,
) -> Steps[ComputedTick]:
    """The whole tick: decisions, then the ETAs whose turn it is, then what is told about each order."""
    now_ms, positions = seen.now_ms, Positions.of(seen)
    matched = yield from match_orders(memory.state, inputs, positions, now_ms, travel, params, tick_id)
    arrivals = arrivals_to_estimate(
        matched.draft, matched.decisions.changes.riders, seen, memory.etas, memory.turns, memory.learning, params
    )
    estimates = yield from ask(EstimateArrivals(arrivals.asked))
    etas = carried_on(memory.etas, estimates.etas, arrivals.under_way)
    return ComputedTick(
        now_ms=now_ms,
        positions=positions,
        notes=matched.notes,
        problem=matched.problem,
        decisions=matched.decisions,
        fresh=estimates.etas,
        etas=etas,
        fallbacks=Fallbacks(matched.stops_fallback, matched.decisions.solution.fallback, estimates.fallback),
        turns=arrivals.turns,
        tracks=update_tracks(memory.tracks, matched.notes, matched.decisions, etas, now_ms),
    )


def _needs_matching(draft: Draft, params: EngineParams) -> bool:
    """Whether there is anything to match: without it, a tick poses and solves nothing."""
    return params.rebundle or any(order.matchable for order in draft.orders())


def _nothing_decided(draft: Draft) -> Decisions:
    """The decisions of a tick that had nothing to match: what happened, and no more."""
    return Decisions((), (), (), (), Solution((), "nothing to match", 0, 0.0, "none"), draft.changes())


def run_tick(
    memory: CityMemory,
    inputs: Iterable[Input],
    seen: PositionSnapshot,
    travel: TravelTimes,
    params: EngineParams,
    tick_id: str,
    fallbacks: Fallbacks = Fallbacks(),  # noqa: B008 (frozen)
) -> ComputedTick:
    """Run a whole tick in this process; the caller commits. A replay passes the recorded fallbacks."""
    return run_steps(tick(memory, inputs, seen, travel, params, tick_id), LocalAnswers(travel, params, fallbacks))


def run_matching(
    state: CityState,
    inputs: Iterable[Input],
    positions: Positions,
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
    tick_id: str,
) -> Matched:
    """Run a tick up to its decisions in this process, for simulated worlds that tell nobody an ETA; the caller commits.

    ETAs and tracks come after the decisions and change none, so such a world decides what a whole tick decides.
    """
    steps = match_orders(state, inputs, positions, now_ms, travel, params, tick_id)
    return run_steps(steps, LocalAnswers(travel, params))
