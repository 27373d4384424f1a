"""A solver that fails is replaced by greedy, by name, and no order is lost."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dispatch.engine.matching import solve as solving
from dispatch.engine.matching.problem import Assigned, CandidateEdges, Problem, Solution
from dispatch.engine.matching.rules import Mask
from dispatch.engine.params import EngineParams
from dispatch.errors import NonsenseSolution
from tests.unit.dispatch.engine.matching.worlds import PARAMS, random_problem
from tests.unit.dispatch.engine.small_worlds import SmallWorld, order, reply

NONSENSE = [
    ("a rider twice", (Assigned(0, (0,)), Assigned(0, (1,)))),
    ("an order twice", (Assigned(0, (0,)), Assigned(1, (0,)))),
    ("an order twice in one trip", (Assigned(0, (0, 0)),)),
    ("an unknown rider", (Assigned(99, (0,)),)),
    ("an unknown order", (Assigned(0, (99,)),)),
    ("an empty trip", (Assigned(0, ()),)),
    ("over capacity", (Assigned(0, (0, 1, 2, 3, 4)),)),
]


def fine_problem() -> Problem:
    """Three riders whose shifts are long, five orders of one restaurant."""
    problem = random_problem(1, riders=3, orders=5, restaurants=1)
    return replace(problem, riders=replace(problem.riders, shift_end_s=np.full(3, 86_400.0)))


def _edges(problem: Problem, keep: Mask) -> CandidateEdges:
    edges = problem.edges
    return CandidateEdges(edges.rider[keep], edges.restaurant[keep], edges.approach_s[keep])


#: What makes a fine trip of order row 0 by rider row 0 a forbidden one, and what is said of it.
FORBIDDEN: list[tuple[str, Callable[[Problem], Problem], str]] = [
    ("no room", lambda p: replace(p, riders=replace(p.riders, room=np.zeros(3, np.int64))), "breaks a rule"),
    ("too many stops", lambda p: replace(p, riders=replace(p.riders, stops=np.ones(3, np.int64))), "breaks a rule"),
    ("a door out of reach", lambda p: replace(p, riders=replace(p.riders, reach_s=np.ones(3))), "breaks a rule"),
    (
        "another zone",
        lambda p: replace(
            p,
            orders=replace(p.orders, zone=np.zeros(5, np.int64)),
            riders=replace(p.riders, zone=np.ones(3, np.int64)),
        ),
        "breaks a rule",
    ),
    ("a cooldown", lambda p: replace(p, barred=np.array([[0, 0]])), "breaks a rule"),
    ("a shift that ends", lambda p: replace(p, riders=replace(p.riders, shift_end_s=np.zeros(3))), "too late"),
    (
        "no way to the door",
        lambda p: replace(
            p,
            orders=replace(p.orders, direct_s=np.full(5, np.inf)),
            riders=replace(p.riders, reach_s=np.full(3, np.inf)),
        ),
        "never",
    ),
    ("no candidate", lambda p: replace(p, edges=_edges(p, p.edges.rider > 0)), "no candidate"),
    ("no candidates at all", lambda p: replace(p, edges=_edges(p, p.edges.rider > 99)), "no candidate"),
    (
        "a rider on its way",
        lambda p: replace(p, orders=replace(p.orders, holder=np.array([-1, 1, -1, -1, -1]))),
        "given nothing",
    ),
]


@pytest.mark.parametrize(("label", "spoil", "says"), FORBIDDEN, ids=[f[0] for f in FORBIDDEN])
def test_what_a_rider_may_not_be_given(label: str, spoil: Callable[[Problem], Problem], says: str) -> None:
    """The same trip passes the check until one thing forbids it."""
    answer = Solution((Assigned(0, (0,)),), "optimal", 0, 0.0, "broken")
    solving.check(fine_problem(), answer, PARAMS)
    with pytest.raises(NonsenseSolution, match=says):
        solving.check(spoil(fine_problem()), answer, PARAMS)


def test_a_link_that_is_not_what_it_says() -> None:
    """Two counters on one way: the link as posed passes; its orders the other way round, or a row too far, do not."""
    params = replace(PARAMS, bundles=replace(PARAMS.bundles, between_m=500.0))
    world = SmallWorld(params=params)
    inputs = (world.rider(1), order("a", at=(0, 0), to=(900, 0)), order("b", at=(100, 0), to=(900, 60)))
    problem = world.peek(10, *inputs).problem
    assert problem is not None
    first, second = problem.links.orders[0].tolist()
    solving.check(problem, Solution((Assigned(0, (first, second), 0),), "optimal", 0, 0.0, "whole"), params)
    for wrong in (Assigned(0, (second, first), 0), Assigned(0, (first, second), 99), Assigned(0, (first, second))):
        with pytest.raises(NonsenseSolution):
            solving.check(problem, Solution((wrong,), "optimal", 0, 0.0, "broken"), params)


@pytest.mark.parametrize(("label", "assigned"), NONSENSE, ids=[n[0] for n in NONSENSE])
def test_nonsense_falls_back(label: str, assigned: tuple[Assigned, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that breaks a rule is not used."""
    problem = fine_problem()
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
