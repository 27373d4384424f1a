"""Stops in the best order: exact search and OR-Tools against plain enumeration."""

from __future__ import annotations

from itertools import permutations
from random import Random

import numpy as np

from dispatch.engine.eta.sequence import (
    Sequencing,
    Task,
    best_sequence,
    cost_of,
    exact_sequence,
    legal,
    searched_sequence,
)

SEED = 20261123


def on_a_line(doors_s: list[float], promised_s: list[float], late: float = 1.0) -> Sequencing:
    """Doors on a street, so many seconds from the rider; no service."""
    places = np.array([0.0, *doors_s])
    tasks = tuple(Task(0.0, -1, promised_s=p) for p in promised_s)
    return Sequencing(tasks, np.abs(places[:, None] - places[None, 1:]), on_board=len(doors_s), late=late)


def random_case(seed: str, most: int) -> Sequencing:
    """Food on board and pickups of one or two orders, in tenths of seconds, with a capacity that may bind."""
    rng = Random(seed)
    on_board = rng.randint(0, 2)
    tasks = [Task(120.0, -1, promised_s=round(rng.uniform(-300, 2000), 1)) for _ in range(on_board)]
    before: list[tuple[int, int]] = []
    while len(tasks) < 2 or (rng.random() < 0.6 and len(tasks) + 3 <= most):
        orders, pickup = rng.randint(1, 2), len(tasks)
        tasks.append(Task(120.0, orders, ready_s=round(rng.uniform(0, 900), 1)))
        for _ in range(orders):
            before.append((pickup, len(tasks)))
            tasks.append(Task(120.0, -1, promised_s=round(rng.uniform(300, 3000), 1)))
    places = np.array([(rng.uniform(0, 3000), rng.uniform(0, 3000)) for _ in range(len(tasks) + 1)])
    apart = np.hypot(*(places[:, None, :] - places[None, 1:, :]).transpose(2, 0, 1))
    capacity = max(on_board, rng.randint(2, 4))
    return Sequencing(tuple(tasks), np.rint(apart / 6 * 10) / 10, tuple(before), on_board, capacity, 0.0, 0.5)


def enumerated_cost(asked: Sequencing) -> float:
    """The optimum by trying everything."""
    return min(cost_of(asked, order) for order in permutations(range(len(asked.tasks))) if legal(asked, order))


def test_a_promise_turns_the_order_round() -> None:
    """The near door first; the far one first when it is promised soon and lateness is dear."""
    assert best_sequence(on_a_line([100, 400], [9000, 9000])) == (0, 1)
    assert best_sequence(on_a_line([-100, 150], [9000, 150], late=10.0)) == (1, 0)


def test_food_is_fetched_before_it_is_brought() -> None:
    """The door lies on the way to the counter, and is still second."""
    ways = np.array([[200.0, 100.0], [0.0, 100.0], [100.0, 0.0]])
    asked = Sequencing((Task(0.0, 1), Task(0.0, -1, promised_s=0.0)), ways, ((0, 1),), capacity=1)
    assert best_sequence(asked) == (0, 1)


def test_a_full_rider_delivers_first() -> None:
    """The counter is next door and the door is far, but there is no room."""
    ways = np.array([[500.0, 1.0, 2.0], [0.0, 500.0, 500.0], [500.0, 0.0, 1.0], [500.0, 1.0, 0.0]])
    tasks = (Task(0.0, -1, promised_s=9e3), Task(0.0, 1), Task(0.0, -1, promised_s=9e3))
    assert best_sequence(Sequencing(tasks, ways, ((1, 2),), on_board=1, capacity=2)) == (1, 2, 0)
    assert best_sequence(Sequencing(tasks, ways, ((1, 2),), on_board=1, capacity=1)) == (0, 1, 2)


def test_no_legal_order_is_none() -> None:
    """A pickup bigger than the bag."""
    asked = Sequencing((Task(0.0, 3), Task(0.0, -3, promised_s=0.0)), np.zeros((3, 2)), ((0, 1),), capacity=2)
    assert exact_sequence(asked) is None
    assert searched_sequence(asked) is None


def test_exact_search_against_enumeration() -> None:
    """Sixty random cases of up to seven stops."""
    for case in range(60):
        asked = random_case(f"{SEED}/exact/{case}", most=7)
        order = exact_sequence(asked)
        assert order is not None, f"seed {SEED}, case {case}"
        assert legal(asked, order), f"seed {SEED}, case {case}: {order}"
        assert cost_of(asked, order) <= enumerated_cost(asked) + 1e-6, f"seed {SEED}, case {case}: {order}"


def test_ortools_against_exact_search() -> None:
    """Legal, equal for equal questions, and as good as the optimum within a thousandth, up to seven stops."""
    for case in range(6):
        asked = random_case(f"{SEED}/searched/{case}", most=7)
        order, best = searched_sequence(asked), exact_sequence(asked)
        assert order is not None, f"seed {SEED}, case {case}"
        assert best is not None, f"seed {SEED}, case {case}"
        assert legal(asked, order), f"seed {SEED}, case {case}: {order}"
        assert cost_of(asked, order) <= cost_of(asked, best) * 1.001 + 0.5, f"seed {SEED}, case {case}: {order}, {best}"
        assert searched_sequence(asked) == order, f"seed {SEED}, case {case}: another answer the second time"
