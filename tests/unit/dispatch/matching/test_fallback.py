"""A solver that fails is replaced by greedy, by name, and no order is lost."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from dispatch.matching import solve as solving
from dispatch.matching.problem import Assigned, Problem, Solution
from dispatch.params import EngineParams
from tests.unit.dispatch.matching.worlds import PARAMS, random_problem
from tests.unit.dispatch.small_worlds import SmallWorld, order, reply

NONSENSE = [
    ("a rider twice", (Assigned(0, (0,)), Assigned(0, (1,)))),
    ("an order twice", (Assigned(0, (0,)), Assigned(1, (0,)))),
    ("an order twice in one trip", (Assigned(0, (0, 0)),)),
    ("an unknown rider", (Assigned(99, (0,)),)),
    ("an unknown order", (Assigned(0, (99,)),)),
    ("an empty trip", (Assigned(0, ()),)),
    ("over capacity", (Assigned(0, (0, 1, 2, 3, 4)),)),
]


@pytest.mark.parametrize(("label", "assigned"), NONSENSE, ids=[n[0] for n in NONSENSE])
def test_nonsense_falls_back(label: str, assigned: tuple[Assigned, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that breaks a rule is not used."""
    problem = random_problem(1, riders=3, orders=5, restaurants=1)
    answer = Solution(assigned, "optimal", 0, 0.0, "broken")
    monkeypatch.setitem(solving.STRATEGIES, "packing", lambda problem, params: answer)
    solution = solving.solve(problem, PARAMS)
    assert solution.strategy == "greedy", label
    assert solution.fallback.startswith("nonsense")


def test_a_raising_solver_falls_back_and_loses_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tick goes on, says what happened, and offers the order all the same."""

    def explode(problem: Problem, params: EngineParams) -> Solution:
        raise ZeroDivisionError("solver bug")

    monkeypatch.setitem(solving.STRATEGIES, "packing", explode)
    world = SmallWorld()
    result = world.tick(10, world.rider(1), order("a"))
    assert result.decisions.solution.fallback == "raised: ZeroDivisionError: solver bug"
    assert [o.order_ids for o in result.decisions.offers] == [("a",)]
    world.tick(11, *(reply(o, 11) for o in result.decisions.offers))
    assert world.rider_now(1).order_ids == ("a",)


def test_a_fired_guard_is_obeyed_and_recorded() -> None:
    """Told that the guard fired, the same problem gets greedy's answer, every time."""
    problem = random_problem(2, riders=4, orders=6)
    first = solving.solve(problem, PARAMS, fallback="guard")
    assert (first.strategy, first.fallback) == ("greedy", "guard")
    assert solving.solve(problem, PARAMS, fallback="guard") == first


def test_work_limit_is_deterministic() -> None:
    """Hardly any work allowed: there is an answer without a fallback, the same each time."""
    params = replace(PARAMS, solver=replace(PARAMS.solver, work_limit=1))
    problem = random_problem(3, riders=3, orders=6)
    first = solving.solve(problem, params)
    assert solving.solve(problem, params) == first
    assert first.fallback == ""
    assert len(first.assigned) > 0


def test_problem_and_solution_travel_to_a_worker() -> None:
    """What is pickled and read back gets the same answer."""
    problem = random_problem(4, riders=4, orders=6)
    copy: Problem = pickle.loads(pickle.dumps(problem))
    assert pickle.loads(pickle.dumps(solving.solve(copy, PARAMS))) == solving.solve(problem, PARAMS)
