"""The worker process: puts stops in order, solves, and has the road network, so that none holds up the event loop.

Solvers and the road network hold the interpreter's lock for their whole run; in a process of their own they cannot
make a fix wait. One worker a shard: it is single-threaded and deterministic, cities take turns. The worker ends by
itself when its shard dies. Only a start waits for it without limit; one that answers nothing for too long is killed and
replaced.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, ParamSpec, Protocol, TypeVar

import structlog

from dispatch.engine.eta.estimate import EtaQuestion, estimate, planned
from dispatch.engine.eta.sequence import Sequencing, best_sequence
from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.solve import solve
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import Points, Seconds, TravelTimes
from dispatch.engine.questions import Estimates, StopSequences
from dispatch.engine.travel.pairs import pair_seconds
from dispatch.shard.travel import TravelSettings, light_model, road_model
from node.errors import Retryable
from node.lifecycle import calm_collector

P = ParamSpec("P")
R = TypeVar("R")

#: A worker that has calls and answers none for so long is killed, wall seconds.
STUCK_S = 5.0
#: So long for its first answer: it has to load the road network.
STARTS_S = 60.0
#: A question for travel times waits so long, wall seconds.
TRAVEL_S = 2.0
#: A question for orders of stops waits so long, wall seconds; then plans stay as they are.
STOPS_S = 2.0
#: So many workers are asked to take a call.
_WORKERS_TRIED = 3

#: What the worker holds; set once in its own process.
_travel: list[TravelTimes] = []


def _begin(parent: int, travel: TravelSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the shard, which ends its worker
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    from dispatch.engine.matching import cover  # noqa: F401 - CP-SAT is slow to import: not within a problem's time

    model = road_model(travel)
    if model is not None:
        _travel.append(model)
    calm_collector()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _road_version() -> str:
    return _travel[0].version if _travel else ""


def _matrix(origins: Points, destinations: Points, at_ms: int) -> Seconds:
    return _travel[0].matrix(origins, destinations, at_ms)


def _etas(asked: EtaQuestion, params: EngineParams) -> Estimates:
    return Estimates(estimate(asked, _travel[0], params))


def _sequence_stops(asked: Sequence[Sequencing]) -> StopSequences:
    return StopSequences(tuple(best_sequence(sequencing) for sequencing in asked))


def _pairs(origins: Points, destinations: Points, at_ms: int) -> Seconds:
    return pair_seconds(_travel[0], origins, destinations, at_ms)


class Solving(Protocol):
    """Solver and travel models of a shard. Never blocks the event loop, and always answers in time."""

    def travel_of(self, city: str) -> TravelTimes:
        """Travel times in a city. They may block: ask from a thread, never from the event loop."""

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        """The answer. `fallback` in it names why greedy had to give it."""

    async def etas(self, travel: TravelTimes, asked: EtaQuestion, params: EngineParams) -> Estimates:
        """ETAs by the city's travel model; by the plans alone when it does not answer in time."""

    async def sequence_stops(self, asked: Sequence[Sequencing]) -> StopSequences:
        """The best order of each rider's stops; plans as they are when it does not come in time."""


class _WorkerContext(SpawnContext):
    """Remembers the processes that a pool starts: it has no call of its own to end a frozen one before Python 3.14."""

    def __init__(self) -> None:
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = SpawnProcess(*args, **kwargs)
        self.started.append(process)
        return process

    def kill(self) -> None:
        """Ends what was started, whatever it is at."""
        for process in self.started:
            if process.pid is not None:
                process.kill()


@dataclass(slots=True)
class _Worker:
    """A worker process and whether it answers.

    Without a lock: answers are told by the pool's thread, which holds a lock of the pool meanwhile.
    """

    pool: ProcessPoolExecutor
    context: _WorkerContext
    calls: set[Future[Any]] = field(default_factory=set)
    #: When it answered last, or began to have calls.
    since_s: float = 0.0
    answered: bool = False

    @property
    def stuck(self) -> bool:
        limit_s = STUCK_S if self.answered else STARTS_S
        return bool(self.calls) and time.monotonic() - self.since_s > limit_s

    def took(self, future: Future[Any]) -> None:
        """Counts a call until it ends."""
        if not self.calls:
            self.since_s = time.monotonic()
        self.calls.add(future)
        future.add_done_callback(self._ended)

    def _ended(self, future: Future[Any]) -> None:
        self.calls.discard(future)
        if not future.cancelled():
            self.since_s = time.monotonic()
            self.answered = True

    def kill(self) -> None:
        """Ends it at once, even if it is frozen; every call that waits for it fails with `BrokenProcessPool`."""
        self.context.kill()  # The pool replaces no worker of its own after one was killed.
        self.pool.shutdown(wait=False)


class Solver:
    """Runs solves in the worker, with greedy as the answer when the wall-clock guard fires."""

    def __init__(self, travel: TravelSettings, limit_ms: int, log: structlog.stdlib.BoundLogger) -> None:
        self._settings = travel
        self._limit_s = limit_ms / 1000
        self._log = log
        self._road_version = ""
        #: Held to replace the worker: calls come from the event loop and from threads.
        self._lock = threading.Lock()
        self._closed = False
        self._worker = self._new_worker()

    def _new_worker(self) -> _Worker:
        context, begin = _WorkerContext(), (os.getpid(), self._settings)
        return _Worker(ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=begin), context)

    async def warm(self) -> None:
        """Starts the worker and waits until it has loaded everything."""
        self._road_version = await asyncio.wrap_future(self.submit(_road_version))

    def travel_of(self, city: str) -> TravelTimes:
        return light_model(self._settings, self._settings.kind_of(city)) or WorkerTravel(self, self._road_version)

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(self.submit(solve, problem, params))
        except TimeoutError:
            self._replace_stuck()
            return await asyncio.to_thread(solve, problem, params, "wall clock")
        except BrokenProcessPool as error:
            self._log.error("the worker died", error=str(error))
            return await asyncio.to_thread(solve, problem, params, "worker died")

    async def etas(self, travel: TravelTimes, asked: EtaQuestion, params: EngineParams) -> Estimates:
        if not isinstance(travel, WorkerTravel):
            return Estimates(await asyncio.to_thread(estimate, asked, travel, params))
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(self.submit(_etas, asked, params))
        except TimeoutError:
            self._replace_stuck()
            return Estimates(planned(asked), "wall clock")
        except BrokenProcessPool:
            return Estimates(planned(asked), "worker died")

    async def sequence_stops(self, asked: Sequence[Sequencing]) -> StopSequences:
        try:
            async with asyncio.timeout(STOPS_S):
                return await asyncio.wrap_future(self.submit(_sequence_stops, asked))
        except TimeoutError:
            self._replace_stuck()
            return StopSequences.as_planned(len(asked), "wall clock")
        except BrokenProcessPool:
            return StopSequences.as_planned(len(asked), "worker died")

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queues a call in the worker; a dead worker is replaced first. Whoever waits for the answer sets a limit.

        Raises `Retryable` after the end.
        """
        for _ in range(_WORKERS_TRIED):
            worker = self._worker
            try:
                future = worker.pool.submit(call, *args, **kwargs)
            except RuntimeError:  # broken, or replaced in this moment
                self._replace(worker)
                continue
            worker.took(future)
            return future
        raise Retryable("there is no worker", reason="WORKER_AWAY")

    def ask(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A call in the worker and its answer. Blocks: for threads. Raises `Retryable` when none comes in time."""
        future = self.submit(call, *args, **kwargs)
        try:
            return future.result(TRAVEL_S)
        except TimeoutError as error:
            future.cancel()
            self._replace_stuck()
            raise Retryable("the worker does not answer", reason="WORKER_AWAY") from error
        except BrokenProcessPool as error:
            raise Retryable("the worker died", reason="WORKER_AWAY") from error

    def _replace_stuck(self) -> None:
        worker = self._worker
        if worker.stuck:
            self._log.error("the worker is stuck: killed and replaced")
            self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        """Once for each worker, whoever asks. The new one begins to load with its first call."""
        with self._lock:
            if self._worker is worker and not self._closed:
                worker.kill()
                self._worker = self._new_worker()

    async def close(self) -> None:
        """Ends the worker, whatever it is at."""
        with self._lock:
            self._closed = True
            worker = self._worker
            worker.kill()
        await asyncio.to_thread(worker.pool.shutdown, wait=True)


class InlineSolver:
    """`Solving` in this process, with any travel model and no guard; for tests and simulations."""

    def __init__(self, travel: TravelTimes) -> None:
        self._travel = travel

    def travel_of(self, city: str) -> TravelTimes:
        return self._travel

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        return solve(problem, params)

    async def etas(self, travel: TravelTimes, asked: EtaQuestion, params: EngineParams) -> Estimates:
        return Estimates(estimate(asked, travel, params))

    async def sequence_stops(self, asked: Sequence[Sequencing]) -> StopSequences:
        return _sequence_stops(asked)


class WorkerTravel:
    """`PairwiseTravelTimes` answered by the worker. Blocks its caller: ask from a thread, never from the event loop.

    Raises `Retryable` when the worker does not answer in time: the tick is tried again, and the caller of an estimate
    is told to. Free flow in its place would make decisions of two models that call themselves by one version.
    """

    def __init__(self, solver: Solver, version: str) -> None:
        self._solver = solver
        self._version = version

    @property
    def version(self) -> str:
        return self._version

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._solver.ask(_matrix, origins, destinations, at_ms)

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._solver.ask(_pairs, origins, destinations, at_ms)
