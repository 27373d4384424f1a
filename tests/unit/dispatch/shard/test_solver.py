"""The worker process: answers, is replaced when it dies, and greedy answers meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
import structlog

from dispatch.engine.eta.sequence import Sequencing, Task
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Rider, RiderId, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.pose import pose
from dispatch.engine.questions import StopSequences
from dispatch.engine.state import CityState, Draft
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.shard import solver as solver_module
from dispatch.shard.solver import STARTS_S, Solver, WorkerTravel
from dispatch.shard.travel import TravelSettings
from node.errors import Retryable
from tests.unit.dispatch.shard.worlds import DOWNTOWN, NOON_MS, order

#: Longer than a worker may take to start: in these tests the wall-clock guard does not answer in its place.
PATIENT_MS = round(2000 * STARTS_S)
POINTS = np.array([[DOWNTOWN.lat_e7, DOWNTOWN.lng_e7]], np.int64)
#: Two doors planned in the worse order: the second lies a minute away, the first ten, and nine from each other.
FAR_DOOR_FIRST = Sequencing(
    tasks=(Task(60.0, -1, promised_s=3600.0), Task(60.0, -1, promised_s=3600.0)),
    ways_s=np.array([[600.0, 60.0], [0.0, 540.0], [540.0, 0.0]]),
    on_board=2,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def solver() -> AsyncIterator[Solver]:
    """A warm worker."""
    solver = Solver(TravelSettings(), PATIENT_MS, structlog.get_logger())
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
    assert solver.submit(os.getpid).result() != pid


async def test_stops_stay_as_planned_without_a_worker(solver: Solver) -> None:
    """The plan keeps its order while there is none, and says so; a new worker searches again."""
    solver.submit(os.kill, solver.submit(os.getpid).result(), signal.SIGKILL)
    assert await solver.sequence_stops([FAR_DOOR_FIRST]) == StopSequences((None,), "worker died")
    await solver.warm()  # a new worker takes longer to start than a search may
    assert await solver.sequence_stops([FAR_DOOR_FIRST]) == StopSequences(((1, 0),))


async def test_a_frozen_worker_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it without limit: greedy answers, stops stay, ways are refused; soon another worker solves."""
    monkeypatch.setattr(solver_module, "STUCK_S", 0.3)
    monkeypatch.setattr(solver_module, "TRAVEL_S", 0.2)
    monkeypatch.setattr(solver_module, "STOPS_S", 0.2)
    solver = Solver(TravelSettings(), 200, structlog.get_logger())
    await solver.warm()
    draft, positions = draft_of_one()
    problem = pose(draft, positions, NOON_MS, FreeFlowTravel(), EngineParams())
    frozen = solver.submit(os.getpid).result()
    os.kill(frozen, signal.SIGSTOP)
    with pytest.raises(Retryable):
        await asyncio.to_thread(WorkerTravel(solver, "road").matrix, POINTS, POINTS, NOON_MS)
    assert await solver.sequence_stops([FAR_DOOR_FIRST]) == StopSequences((None,), "wall clock")
    solution = await solver.solve(problem, EngineParams())
    assert (len(solution.assigned), solution.fallback) == (1, "wall clock")
    await solver.warm()  # starting has a limit of its own, far over that of a problem
    async with asyncio.timeout(30):
        while (await solver.solve(problem, EngineParams())).fallback:
            pass
    assert solver.submit(os.getpid).result() != frozen
    await solver.close()


async def test_a_frozen_worker_does_not_hold_up_the_end() -> None:
    """Closing ends a worker that answers nothing any more, and whoever waits for it is told."""
    solver = Solver(TravelSettings(), 10_000, structlog.get_logger())
    await solver.warm()
    os.kill(solver.submit(os.getpid).result(), signal.SIGSTOP)
    asked = asyncio.create_task(asyncio.to_thread(solver.ask, os.getpid))
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
        await solver.close()
        with pytest.raises(Retryable):
            await asked
