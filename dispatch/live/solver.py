"""The worker process: solves and asks for travel times, so that neither ever holds up the event loop.

Solvers and the road network hold the interpreter's lock for their whole run; in a process of their own they cannot
make a fix wait. One worker a shard: it is single-threaded and deterministic, cities take turns. The worker ends by
itself when its shard dies.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import ParamSpec, Protocol, TypeVar

import structlog

from dispatch.live.etas import EtaQuestion, answer, planned
from dispatch.live.tracks import Eta
from dispatch.live.travel import TravelSettings, light_model, road_model
from dispatch.matching.problem import Problem, Solution
from dispatch.matching.solve import solve
from dispatch.model import OrderId
from dispatch.params import EngineParams
from dispatch.ports import Points, Seconds, TravelTimes
from dispatch.travel.pairs import pair_seconds

P = ParamSpec("P")
R = TypeVar("R")

#: What the worker holds; set once in its own process.
_travel: list[TravelTimes] = []


def _begin(parent: int, travel: TravelSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the shard, which ends its worker
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    model = road_model(travel)
    if model is not None:
        _travel.append(model)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _road_version() -> str:
    return _travel[0].version if _travel else ""


def _matrix(origins: Points, destinations: Points, at_ms: int) -> Seconds:
    return _travel[0].matrix(origins, destinations, at_ms)


def _etas(asked: EtaQuestion, params: EngineParams) -> dict[OrderId, Eta]:
    return answer(asked, _travel[0], params)


def _pairs(origins: Points, destinations: Points, at_ms: int) -> Seconds:
    return pair_seconds(_travel[0], origins, destinations, at_ms)


class Solving(Protocol):
    """Who solves, and knows the ways. Never blocks the event loop, and always answers in time."""

    def travel_of(self, city: str) -> TravelTimes:
        """Travel times in a city. They may block: ask from a thread, never from the event loop."""

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        """The answer. `fallback` in it names why greedy had to give it."""

    async def etas(self, city: str, asked: EtaQuestion, params: EngineParams) -> dict[OrderId, Eta]:
        """ETAs by the city's travel model; by the plans alone when it does not answer in time."""


class Solver:
    """Runs solves in the worker, with greedy as the answer when the wall-clock guard fires."""

    def __init__(self, travel: TravelSettings, limit_ms: int, log: structlog.stdlib.BoundLogger) -> None:
        self._settings = travel
        self._limit_s = limit_ms / 1000
        self._log = log
        self._road_version = ""
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        begin = (os.getpid(), self._settings)
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin, initargs=begin)

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
            return await asyncio.to_thread(solve, problem, params, "wall clock")
        except BrokenProcessPool as error:
            self._log.error("the worker died", error=str(error))
            return await asyncio.to_thread(solve, problem, params, "worker died")

    async def etas(self, city: str, asked: EtaQuestion, params: EngineParams) -> dict[OrderId, Eta]:
        light = light_model(self._settings, self._settings.kind_of(city))
        if light is not None:
            return await asyncio.to_thread(answer, asked, light, params)
        try:
            async with asyncio.timeout(self._limit_s):
                return await asyncio.wrap_future(self.submit(_etas, asked, params))
        except (TimeoutError, BrokenProcessPool) as error:
            self._log.warning("ETAs from the plans alone", city=city, error=repr(error))
            return planned(asked)

    def submit(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queues a call in the worker; a dead worker is replaced first."""
        try:
            return self._pool.submit(call, *args, **kwargs)
        except BrokenProcessPool:
            self._pool.shutdown(wait=False)
            self._pool = self._new_pool()
            return self._pool.submit(call, *args, **kwargs)

    async def close(self) -> None:
        """Ends the worker."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


class InlineSolver:
    """`Solving` in this process, with any travel model and no guard; for tests and simulations."""

    def __init__(self, travel: TravelTimes) -> None:
        self._travel = travel

    def travel_of(self, city: str) -> TravelTimes:
        return self._travel

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        return solve(problem, params)

    async def etas(self, city: str, asked: EtaQuestion, params: EngineParams) -> dict[OrderId, Eta]:
        return answer(asked, self._travel, params)


class WorkerTravel:
    """`PairwiseTravelTimes` answered by the worker. Blocks its caller: ask from a thread, never from the event loop."""

    def __init__(self, solver: Solver, version: str) -> None:
        self._solver = solver
        self._version = version

    @property
    def version(self) -> str:
        return self._version

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._solver.submit(_matrix, origins, destinations, at_ms).result()

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._solver.submit(_pairs, origins, destinations, at_ms).result()
