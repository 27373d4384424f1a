"""Time ticks on a snapshot of a big city, beside other ways to match the same pairs.

A tick here is the whole tick of the engine with free-flow travel times, timed between its questions, and the change of
memory. What the live shard adds, the way to the worker process and the transaction, is not in it:
`benchmarks.dispatch.loop` times that.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from benchmarks.dispatch.matchers import DENSE_CELLS, LAPX_DENSE_CELLS, Timed, dense_matchers, sparse_matchers
from benchmarks.dispatch.snapshot import NOW_MS, big_city, warm
from dispatch.engine.inputs import Input
from dispatch.engine.memory import CityMemory
from dispatch.engine.params import BundleParams, CandidateParams, EngineParams
from dispatch.engine.questions import (
    EstimateArrivals,
    LocalAnswers,
    Question,
    SequenceStops,
    SolveProblem,
    run_steps,
)
from dispatch.engine.tick import tick
from dispatch.engine.travel.free_flow import FreeFlowTravel
from node.lifecycle import calm_collector

#: Questions of a tick that has something to match, in order.
_QUESTIONS: Final = (SequenceStops, SolveProblem, EstimateArrivals)


@dataclass(frozen=True, slots=True)
class TickFigures:
    """Milliseconds of whole ticks, wall and thread CPU; of ticks up to their decisions (`decisions_*`); and of parts.

    The parts are the inputs (`hear_*`), the problem, its solution, the decisions with the choice of the ETAs that are
    due, these ETAs, and the tracks with the change of memory. `matchers` are other solvers of single orders on the same
    data.

    `cost_over_dense_pct` is how much more the engine's candidates cost than every pair would, None where the full
    matrix was not built.
    """

    orders: int
    riders: int
    travel: str
    rounds: int
    tick_p50_ms: float
    tick_p95_ms: float
    tick_p99_ms: float
    tick_cpu_p50_ms: float
    tick_cpu_p95_ms: float
    decisions_p50_ms: float
    decisions_p95_ms: float
    decisions_cpu_p95_ms: float
    hear_p50_ms: float
    pose_p50_ms: float
    solve_p50_ms: float
    decide_p50_ms: float
    etas_p50_ms: float
    tracks_p50_ms: float
    solver_status: dict[str, int]
    offers: int
    matchers: tuple[Timed, ...]
    cost_over_dense_pct: float | None

    def of(self, name: str) -> Timed | None:
        """The matcher of that name, if it ran."""
        return next((t for t in self.matchers if t.name == name), None)


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """Answers to the questions of a tick, with the wall time when each came and was answered, and the CPU time then."""

    answers: LocalAnswers
    spans: dict[type[Question[Any]], tuple[float, float]] = field(default_factory=dict)
    cpu_s: dict[type[Question[Any]], float] = field(default_factory=dict)

    def __call__(self, question: Question[Any]) -> object:
        came, self.cpu_s[type(question)] = time.perf_counter(), time.thread_time()
        answer = self.answers(question)
        self.spans[type(question)] = came, time.perf_counter()
        return answer


def measure_ticks(orders: int, rounds: int, peers: int = 3) -> TickFigures:
    """Ticks of one city, a second apart: offers are accepted and orders placed in between. Then the peers."""
    calm_collector()  # As every process of ours does when it is ready.
    params, travel = EngineParams(), FreeFlowTravel()
    city = big_city(orders)
    warm(city, params)
    memory = CityMemory(city.state)
    wall, cpu, decisions_wall, decisions_cpu, parts = [], [], [], [], []
    rng, inputs = np.random.default_rng(orders), list[Input]()
    offers, posed_orders, riders = 0, 0, 0
    statuses: Counter[str] = Counter()
    for n in range(rounds):
        now_ms = NOW_MS + 1000 * (n + 1)
        seen = city.seen(now_ms)
        begun, spent = time.perf_counter(), time.thread_time()
        watch = _Stopwatch(LocalAnswers(travel, params))
        computed = run_steps(tick(memory, inputs, seen, travel, params, f"t{n}"), watch)
        memory.apply_tick(computed, params)
        ended = time.perf_counter()
        wall.append(ended - begun)
        cpu.append(time.thread_time() - spent)
        (_, sequenced), (posed, solved), (decided, estimated) = (watch.spans[asked] for asked in _QUESTIONS)
        decisions_wall.append(decided - begun)
        decisions_cpu.append(watch.cpu_s[EstimateArrivals] - spent)
        parts.append(np.diff((begun, sequenced, posed, solved, decided, estimated, ended)))
        decisions, problem = computed.decisions, computed.problem
        inputs = city.news(decisions.offers, now_ms, rng)
        offers += len(decisions.offers)
        statuses[decisions.solution.status] += 1
        assert problem is not None
        posed_orders, riders = len(problem.orders.ids), len(problem.riders.ids)
    matchers, over_pct = _matched(orders, peers)
    medians = np.percentile(np.array(parts), 50, axis=0)
    return TickFigures(
        orders=posed_orders,
        riders=riders,
        travel=travel.version,
        rounds=rounds,
        tick_p50_ms=_ms(wall, 50),
        tick_p95_ms=_ms(wall, 95),
        tick_p99_ms=_ms(wall, 99),
        tick_cpu_p50_ms=_ms(cpu, 50),
        tick_cpu_p95_ms=_ms(cpu, 95),
        decisions_p50_ms=_ms(decisions_wall, 50),
        decisions_p95_ms=_ms(decisions_wall, 95),
        decisions_cpu_p95_ms=_ms(decisions_cpu, 95),
        hear_p50_ms=round(1000 * float(medians[0]), 1),
        pose_p50_ms=round(1000 * float(medians[1]), 1),
        solve_p50_ms=round(1000 * float(medians[2]), 1),
        decide_p50_ms=round(1000 * float(medians[3]), 1),
        etas_p50_ms=round(1000 * float(medians[4]), 1),
        tracks_p50_ms=round(1000 * float(medians[5]), 1),
        solver_status=dict(statuses),
        offers=offers,
        matchers=matchers,
        cost_over_dense_pct=over_pct,
    )


def _ms(seconds: list[float], percentile: float) -> float:
    return round(1000 * float(np.percentile(seconds, percentile)), 1)


def _matched(orders: int, rounds: int) -> tuple[tuple[Timed, ...], float | None]:
    """The matchers of single orders, and the price of the engine's candidates in percent."""
    single = EngineParams(bundles=BundleParams(max_orders=1))
    city = big_city(orders)
    warm(city, single)
    problem = city.problem(single)
    found = sparse_matchers(problem, single, rounds)
    cells = len(problem.orders.ids) * len(problem.riders.ids)
    if cells > DENSE_CELLS:
        return tuple(found), None
    everyone = EngineParams(
        bundles=single.bundles, candidates=CandidateParams(per_restaurant=10_000, max_approach_s=86_400)
    )
    dense = dense_matchers(city.problem(everyone), everyone, rounds, lapx=cells <= LAPX_DENSE_CELLS)
    return (*found, *dense), round(100 * (found[0].cost / dense[0].cost - 1), 4)
