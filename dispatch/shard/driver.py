"""Run a tick on the event loop: its computing in threads, its questions by the solver (`dispatch.shard.solver`).

The worker process puts stops in order and solves. On the road network, which only it has loaded, it also estimates
arrivals and answers the travel times that the steps ask for; else a thread does both.

The event loop is held up by neither: what a tick computes between two questions runs in one thread at a time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.questions import (
    EstimateArrivals,
    Estimates,
    Finished,
    Question,
    SequenceStops,
    SolveProblem,
    Steps,
    StopSequences,
    advance,
)
from dispatch.shard.solver import Solving

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class LiveAnswers:
    """Answers of a shard's solver, cheap ones with a fallback where the worker is late or dead.

    Raises `Retryable` when the solver was closed: the tick is given up.
    """

    solver: Solving
    travel: TravelTimes
    params: EngineParams

    async def __call__(self, question: Question[Any]) -> object:
        match question:
            case SequenceStops(asked):
                return await self.solver.sequence_stops(asked) if asked else StopSequences(())
            case SolveProblem(problem):
                return await self.solver.solve(problem, self.params)
            case EstimateArrivals(asked):
                return await self.solver.etas(self.travel, asked, self.params) if asked else Estimates({})
        raise TypeError(f"no answer to {question!r}")


async def run_live(steps: Steps[R], answer: LiveAnswers) -> R:
    """Run steps to their end. Cancelled, they are given up where they are: they have changed nothing."""
    reached = await asyncio.to_thread(advance, steps)
    while not isinstance(reached, Finished):
        reached = await asyncio.to_thread(advance, steps, await answer(reached))
    return reached.result
