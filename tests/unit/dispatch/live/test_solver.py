"""The worker process: answers, is replaced when it dies, and greedy answers meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest_asyncio
import structlog

from dispatch.inputs import Positions
from dispatch.live.solver import Solver
from dispatch.live.travel import TravelSettings
from dispatch.model import Rider, RiderId, Vehicle
from dispatch.params import EngineParams
from dispatch.pose import pose
from dispatch.state import CityState, Draft
from dispatch.travel.free_flow import FreeFlowTravel
from tests.unit.dispatch.live.worlds import DOWNTOWN, NOON_MS, order


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def solver() -> AsyncIterator[Solver]:
    """A warm worker."""
    solver = Solver(TravelSettings(), 10_000, structlog.get_logger())
    await solver.warm()
    yield solver
    await solver.close()


def draft_of_one() -> tuple[Draft, Positions]:
    """One rider downtown, one order."""
    rider = Rider(RiderId(1), True, NOON_MS + 3_600_000, 2, Vehicle.CAR)
    state = CityState.load([rider, order("o-1")])
    place = [np.array([n], np.int32) for n in (DOWNTOWN.lat_e7, DOWNTOWN.lng_e7)]
    return Draft(state), Positions(np.array([1], np.uint64), place[0], place[1], np.zeros(1, np.int64))


async def test_a_problem_is_solved_in_the_worker(solver: Solver) -> None:
    """The one order goes to the one rider, without a fallback."""
    draft, positions = draft_of_one()
    problem = pose(draft, positions, NOON_MS, FreeFlowTravel(), EngineParams())
    solution = await solver.solve(problem, EngineParams())
    assert [(a.rider, a.orders) for a in solution.assigned] == [(0, (0,))]
    assert solution.fallback == ""


async def test_a_dead_worker_is_replaced(solver: Solver) -> None:
    """Greedy answers while there is none; the next problem finds a new worker."""
    draft, positions = draft_of_one()
    problem = pose(draft, positions, NOON_MS, FreeFlowTravel(), EngineParams())
    pid = solver.submit(os.getpid).result()
    solver.submit(os.kill, pid, signal.SIGKILL)
    dead = await solver.solve(problem, EngineParams())
    assert len(dead.assigned) == 1
    assert dead.fallback == "worker died"
    alive = await solver.solve(problem, EngineParams())
    assert alive.fallback == ""
