"""Questions that a tick asks while it runs, and the driver that answers them in this process.

A tick is a generator (`dispatch.engine.tick`): it yields a question where it needs something that takes long or may
fail, and is sent the answer. A driver runs it to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from dispatch.engine.basis import Fallbacks
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.eta.estimate import EtaQuestion, estimate, planned
from dispatch.engine.eta.sequence import Sequencing, StopSequence, best_sequence
from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import OrderId
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes

A = TypeVar("A", covariant=True)
R = TypeVar("R")


class Question(Generic[A]):
    """A question of a tick whose answer is an `A`."""


@dataclass(frozen=True, slots=True)
class StopSequences:
    """Stops in their best order, one entry a rider; None leaves a plan as it is.

    `fallback` names why all plans were left as they are, "" where the search answered.
    """

    sequences: tuple[StopSequence | None, ...]
    fallback: str = ""

    @staticmethod
    def as_planned(count: int, fallback: str) -> StopSequences:
        """Leave the plans of `count` riders as they are: the answer when the search does not come in time."""
        return StopSequences((None,) * count, fallback)


@dataclass(frozen=True, slots=True)
class SequenceStops(Question[StopSequences]):
    """Question in which order each rider makes its stops."""

    asked: tuple[Sequencing, ...]


@dataclass(frozen=True, slots=True)
class SolveProblem(Question[Solution]):
    """Question which rider carries which order. `Solution.fallback` names why greedy had to answer."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Estimates:
    """ETAs at the door; `fallback` names why the plans alone had to answer, "" where the travel model did."""

    etas: dict[OrderId, Eta]
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class EstimateArrivals(Question[Estimates]):
    """Question when orders will be delivered."""

    asked: EtaQuestion


Steps = Generator[Question[Any], Any, R]
"""A computation that asks, and ends with an `R`."""


def ask(question: Question[A]) -> Steps[A]:
    """Yield one question and return its answer: `answer = yield from ask(question)`."""
    answer: A = yield question
    return answer


@dataclass(frozen=True, slots=True)
class Finished(Generic[R]):
    """The end of steps."""

    result: R


def advance(steps: Steps[R], answer: object = None) -> Question[Any] | Finished[R]:
    """Send the answer to the last question (None to begin) and compute until the next one, or to the end."""
    try:
        return steps.send(answer)
    except StopIteration as end:
        return Finished(end.value)


def run_steps(steps: Steps[R], answer: Callable[[Question[Any]], object]) -> R:
    """Run steps to their end, each question answered by a call."""
    reached = advance(steps)
    while not isinstance(reached, Finished):
        reached = advance(steps, answer(reached))
    return reached.result


@dataclass(frozen=True, slots=True)
class LocalAnswers:
    """Answers computed in this process, with no limit on their time.

    A replay passes the recorded fallbacks: each replaces the answer to its question, as it did then.
    """

    travel: TravelTimes
    params: EngineParams
    fallbacks: Fallbacks = field(default_factory=Fallbacks)

    def __call__(self, question: Question[Any]) -> object:
        match question:
            case SequenceStops(asked):
                if self.fallbacks.stops:
                    return StopSequences.as_planned(len(asked), self.fallbacks.stops)
                return StopSequences(tuple(best_sequence(sequencing) for sequencing in asked))
            case SolveProblem(problem):
                return solve(problem, self.params, self.fallbacks.solver)
            case EstimateArrivals(asked):
                if self.fallbacks.etas:
                    return Estimates(planned(asked), self.fallbacks.etas)
                return Estimates(estimate(asked, self.travel, self.params))
        raise TypeError(f"no answer to {question!r}")
