"""Find the best order of a rider's stops: pickups before their drops, no earlier than the food, within the load.

    cost = sum over drops of (handed over + late x what it is past its promise), seconds from now

Up to `EXACT_STOPS` stops every order is tried, with what cannot be better cut off; beyond, OR-Tools searches (routing
with one vehicle, transits as a matrix, no callbacks), with a limit on its work that does not look at a clock. Both are
compared with each other and with plain enumeration in the tests. OR-Tools holds the interpreter's lock meanwhile, some
0.1 s: ask in a worker process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from dispatch.engine.service_times import handover

EXACT_STOPS: Final = 5
#: Branches that the search may take.
_BRANCHES: Final = 3_000
#: OR-Tools computes in whole tenths of a second, costs in hundredths of their seconds.
_TENTH: Final = 10
_WEIGHT: Final = 100
_HORIZON: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Task:
    """A stop to be put in order; `ready_s` and `service_s` as in `service_times`.

    `load` is what the rider carries more afterwards. A drop is promised by `promised_s`; pickups have none.
    """

    service_s: float
    load: int
    ready_s: float = 0.0
    promised_s: float | None = None

    @property
    def half_s(self) -> float:
        return self.service_s / 2


@dataclass(frozen=True, slots=True, eq=False)
class Sequencing:
    """n tasks. `ways_s` (n + 1, n): from the start and from each task to each task. `before` are pairs (i, j): i first.

    The rider has `on_board` of `capacity` and sets out at `start_s`; a second past its promise costs `late` more.
    """

    tasks: tuple[Task, ...]
    ways_s: NDArray[np.float64]
    before: tuple[tuple[int, int], ...] = ()
    on_board: int = 0
    capacity: int = 1_000_000
    start_s: float = 0.0
    late: float = 1.0


StopSequence = tuple[int, ...]
"""Tasks in the order in which they are done, by their place in `Sequencing.tasks`."""


def best_sequence(asked: Sequencing) -> StopSequence | None:
    """The cheapest legal order of the tasks; None if there is none."""
    return exact_sequence(asked) if len(asked.tasks) <= EXACT_STOPS else searched_sequence(asked)


def handovers_s(asked: Sequencing, order: Sequence[int]) -> list[float]:
    """Time of each task's handover, seconds from now."""
    done: list[float] = []
    at_s, place = asked.start_s, 0
    for i in order:
        task = asked.tasks[i]
        done_s = handover(at_s + float(asked.ways_s[place, i]), task.half_s, task.ready_s)
        done.append(done_s)
        at_s, place = done_s + task.half_s, i + 1
    return done


def cost_of(asked: Sequencing, order: Sequence[int]) -> float:
    """The cost of an order, legal or not."""
    done = handovers_s(asked, order)
    return sum(_cost(asked, asked.tasks[i], done_s) for i, done_s in zip(order, done, strict=True))


def _cost(asked: Sequencing, task: Task, done_s: float) -> float:
    if task.promised_s is None:
        return 0.0
    return done_s + asked.late * max(0.0, done_s - task.promised_s)


def legal(asked: Sequencing, order: Sequence[int]) -> bool:
    """Whether every task comes once, after what must come before it, and the load fits."""
    place = {task: at for at, task in enumerate(order)}
    if sorted(order) != list(range(len(asked.tasks))) or any(place[i] > place[j] for i, j in asked.before):
        return False
    load = asked.on_board
    for i in order:
        load += asked.tasks[i].load
        if load > asked.capacity:
            return False
    return True


def exact_sequence(asked: Sequencing) -> StopSequence | None:
    """Depth first, in the order of the tasks; what costs more than the best so far is cut off. The first of equals."""
    search = _Search(asked)
    search.go((), 0.0, asked.start_s, asked.on_board)
    return search.best


class _Search:
    def __init__(self, asked: Sequencing) -> None:
        self.asked = asked
        self.ways_s = asked.ways_s.tolist()
        self.first: list[set[int]] = [set() for _ in asked.tasks]
        for i, j in asked.before:
            self.first[j].add(i)
        self.best: StopSequence | None = None
        self.best_cost = inf

    def go(self, done: StopSequence, cost: float, at_s: float, load: int) -> None:
        """All ways to go on from `done`."""
        tasks = self.asked.tasks
        if len(done) == len(tasks):
            if cost < self.best_cost - 1e-9:
                self.best, self.best_cost = done, cost
            return
        row = self.ways_s[done[-1] + 1 if done else 0]
        for i, task in enumerate(tasks):
            if i in done or not self.first[i] <= set(done) or load + task.load > self.asked.capacity:
                continue
            done_s = handover(at_s + row[i], task.half_s, task.ready_s)
            more = cost + _cost(self.asked, task, done_s)
            # Whatever is still to be handed over is handed over later than this.
            left = sum(t.promised_s is not None for k, t in enumerate(tasks) if k != i and k not in done)
            if more + left * done_s < self.best_cost:
                self.go((*done, i), more, done_s + task.half_s, load + task.load)


def searched_sequence(asked: Sequencing) -> StopSequence | None:
    """Search for the best order by OR-Tools; None where it finds none. Equal questions get equal answers."""
    n = len(asked.tasks)
    manager = pywrapcp.RoutingIndexManager(n + 2, 1, [0], [n + 1])
    routing = pywrapcp.RoutingModel(manager)
    transit = routing.RegisterTransitMatrix(_transits(asked))
    routing.SetArcCostEvaluatorOfAllVehicles(routing.RegisterTransitMatrix([[0] * (n + 2)] * (n + 2)))
    for name in ("handover", "promise"):
        routing.AddDimension(transit, _HORIZON, _HORIZON, False, name)
    loads = [0, *(task.load for task in asked.tasks), 0]
    demand = routing.RegisterUnaryTransitVector(loads)
    routing.AddDimension(demand, 0, asked.capacity, False, "load")
    _constrain(asked, manager, routing)
    routing.AddSearchMonitor(routing.solver().BranchesLimit(_BRANCHES))
    found = routing.SolveWithParameters(_parameters())
    if found is None:
        return None
    order: list[int] = []
    index = found.Value(routing.NextVar(routing.Start(0)))
    while not routing.IsEnd(index):
        order.append(manager.IndexToNode(index) - 1)
        index = found.Value(routing.NextVar(index))
    return tuple(order)


def _transits(asked: Sequencing) -> list[list[int]]:
    """Times from handover to handover, tenths of a second. Node 0 is the start, n + 1 an end that is everywhere."""
    n = len(asked.tasks)
    half_s = np.array([task.half_s for task in asked.tasks])
    out = np.zeros((n + 2, n + 2))
    out[: n + 1, 1 : n + 1] = asked.ways_s + half_s[None, :]
    out[1 : n + 1, 1 : n + 1] += half_s[:, None]
    rounded: list[list[int]] = np.rint(np.minimum(out * _TENTH, _HORIZON // 100)).astype(int).tolist()
    return rounded


def _constrain(asked: Sequencing, manager: pywrapcp.RoutingIndexManager, routing: pywrapcp.RoutingModel) -> None:
    solver = routing.solver()
    handover, promise, load = (routing.GetDimensionOrDie(name) for name in ("handover", "promise", "load"))
    start = routing.Start(0)
    for dimension in (handover, promise):
        dimension.CumulVar(start).SetValue(round(asked.start_s * _TENTH))
    load.CumulVar(start).SetValue(asked.on_board)
    for i, task in enumerate(asked.tasks):
        index = manager.NodeToIndex(i + 1)
        handed = handover.CumulVar(index)
        if task.ready_s > 0:
            handed.SetMin(round(task.ready_s * _TENTH))
        # The load after a task is what fits, not the load before it.
        load.CumulVar(index).SetMax(max(0, min(asked.capacity, asked.capacity - task.load)))
        if task.promised_s is not None:
            handover.SetCumulVarSoftUpperBound(index, 0, _WEIGHT)
            promised = max(0, round(task.promised_s * _TENTH))
            promise.SetCumulVarSoftUpperBound(index, promised, round(asked.late * _WEIGHT))
        solver.Add(promise.CumulVar(index) == handed)
    for i, j in asked.before:
        first, then = manager.NodeToIndex(i + 1), manager.NodeToIndex(j + 1)
        solver.Add(handover.CumulVar(first) <= handover.CumulVar(then))


def _parameters() -> object:
    """A first order, then tabu search until the limit on branches: no clock is asked."""
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.FIRST_UNBOUND_MIN_VALUE
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.TABU_SEARCH
    parameters.time_limit.seconds = 3600  # Never reached; without any, OR-Tools warns with every call.
    return parameters
