"""The checker finds every rule that is broken, and nothing in a right answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from dispatch.engine.travel.planar import PlanarTravel, to_point
from node.geodesy import points
from simulator.replay.checker import travel_minutes, violations
from simulator.replay.history import Commitment, History, Leg
from simulator.replay.instance import Courier, Instance
from tests.unit.simulator.replay.worlds import its_history, one_courier_two_orders


def test_a_right_answer_breaks_nothing() -> None:
    """The hand-made history is clean."""
    assert violations(one_courier_two_orders(), its_history()) == []


def change(field: str, index: int, **values: object) -> Callable[[History], None]:
    """Overwrite fields of one event of a history."""

    def apply(history: History) -> None:
        events = getattr(history, field)
        events[index] = replace(events[index], **values)

    return apply


def bind_early(history: History) -> None:
    """The whole bundle, before the second order is placed."""
    history.commitments[0] = Commitment(0, "c1", ("o1", "o2"))
    history.moves[0] = Leg(0, "c1", "c1", "r1")


def leave_unbound(history: History) -> None:
    """The courier sets out a minute before it has a bundle."""
    history.moves[0] = Leg(5, "c1", "c1", "r1")


def forget_a_move(history: History) -> None:
    """The courier jumps to the second door."""
    del history.moves[2]


def drop_twice(history: History) -> None:
    """The first order reaches its customer again."""
    history.drops.append(history.drops[0])


BROKEN: list[tuple[str, Callable[[History], None], str]] = [
    ("bound before it is placed", bind_early, "o2: bound at 0, placed at 1"),
    ("picked up before it is ready", change("pickups", 0, at=9), "picked up ('o1', 'o2') at 9, the rules say 10"),
    ("picked up too late", change("pickups", 0, at=11), "at 11, the rules say 10"),
    ("dropped too soon", change("drops", 0, at=16), "dropped o1 at 16, the rules say 17"),
    ("left the counter too soon", change("moves", 1, departed=11), "left r1 at 11, free at 12"),
    ("dawdled at the door", change("moves", 2, departed=20), "left for o2 at 20, could leave at 19"),
    ("came from elsewhere", change("moves", 1, origin="c1"), "left c1 at 12, but was at r1"),
    ("wrong drop order", change("pickups", 0, orders=("o2", "o1")), "bound to ('o1', 'o2')"),
    ("set out without a bundle", leave_unbound, "set out at 5 without a bundle"),
    ("skipped a move", forget_a_move, "o2: dropped without a move to it"),
    ("dropped twice", drop_twice, "o1: picked up 1 times, dropped 2 times"),
    ("an unknown courier", change("pickups", 0, courier="c9"), "c9: no such courier"),
    ("an unknown courier of a drop", change("drops", 1, courier="c2"), "c2: no such courier"),
    ("an unknown order", change("drops", 1, order="o9"), "o9: no such order"),
    ("an unknown order bound", change("commitments", 0, orders=("o1", "o9")), "o9: no such order"),
    ("an unknown order picked up", change("pickups", 0, orders=("o9",)), "o9: no such order"),
    ("an unknown place", change("moves", 0, destination="r9"), "r9: no such place"),
    ("a pickup of nothing", change("pickups", 0, orders=()), "c1: picked up nothing at 10"),
]


@pytest.mark.parametrize(("label", "breaks", "said"), BROKEN, ids=[b[0] for b in BROKEN])
def test_broken_rules_are_found(label: str, breaks: Callable[[History], None], said: str) -> None:
    """One thing made wrong, one rule named."""
    history = its_history()
    breaks(history)
    found = violations(one_courier_two_orders(), history)
    assert any(said in line for line in found), (label, found)


def with_courier(instance: Instance, **values: int) -> Instance:
    """The instance with another shift."""
    courier: Courier = replace(instance.couriers[0], **values)  # type: ignore[arg-type]
    return replace(instance, couriers=(courier,))


def test_no_pickup_after_the_shift() -> None:
    """Off at 9, picked up at 10; off at 10 is fine, however late the drops."""
    assert violations(with_courier(one_courier_two_orders(), off=10), its_history()) == []
    assert "c1: picked up ('o1', 'o2') at 10, off since 9" in violations(
        with_courier(one_courier_two_orders(), off=9), its_history()
    )


def test_no_move_before_the_shift() -> None:
    """On at 7, left at 6."""
    found = violations(with_courier(one_courier_two_orders(), on=7), its_history())
    assert "c1: left c1 at 6, free at 7" in found


def test_two_couriers_cannot_hold_one_order() -> None:
    """Bound to another while the first still holds it; handed over in the same minute it is fine."""
    instance = one_courier_two_orders()
    instance = replace(instance, couriers=(*instance.couriers, Courier("c2", (0, 0), 0, 60)))
    history = its_history()
    history.commitments.append(Commitment(8, "c2", ("o2",)))
    assert any("o2: bound to c2 at 8 while c1 holds it" in line for line in violations(instance, history))


def test_an_order_is_dropped_by_who_picked_it_up() -> None:
    """Another courier brings the second one."""
    instance = one_courier_two_orders()
    instance = replace(instance, couriers=(*instance.couriers, Courier("c2", (0, 0), 0, 60)))
    history = its_history()
    change("drops", 1, courier="c2")(history)
    assert any("o2: dropped by c2, picked up by c1" in line for line in violations(instance, history))


def test_idle_moves_are_a_variant() -> None:
    """A trip for nothing is a violation, unless the variant allows it."""
    history = its_history()
    history.moves.append(Leg(25, "c1", "o2", "r1"))
    assert violations(one_courier_two_orders(), history) == ["c1: moved to r1 at 25 for nothing"]
    assert violations(one_courier_two_orders(), history, idle_moves=True) == []


@pytest.mark.parametrize("metres_per_minute", [320, 427])
def test_checker_and_engine_agree_on_minutes(metres_per_minute: int) -> None:
    """Two ways to reckon the same rule, on 3,000 random pairs."""
    rng = np.random.default_rng(11)
    model = PlanarTravel(metres_per_minute)
    a, b = rng.integers(0, 20_000, (3000, 2)), rng.integers(0, 20_000, (3000, 2))
    as_e7 = [points(to_point(int(x), int(y)) for x, y in xy) for xy in (a, b)]
    seconds = model.pairs(as_e7[0], as_e7[1], 0)
    minutes = [
        travel_minutes((int(p[0]), int(p[1])), (int(q[0]), int(q[1])), metres_per_minute)
        for p, q in zip(a, b, strict=True)
    ]
    assert (seconds / 60).tolist() == minutes
