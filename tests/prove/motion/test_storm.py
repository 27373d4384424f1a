"""Judgement of a storm's records: a wait that was too long, a status that went back, must not pass."""

from __future__ import annotations

import pytest

from tests.prove.motion.customers import Watcher
from tests.prove.motion.storm import Kill, returns


def watcher(*seen: tuple[float, float]) -> Watcher:
    """One who saw positions: (when it came, when its fix was taken)."""
    came_s, fixed_s = zip(*seen, strict=True)
    return Watcher("order", "/", ("ws://nowhere",), came_s=list(came_s), fixed_s=list(fixed_s), statuses=["picked_up"])


def edge(killed_s: float) -> Kill:
    """The edge dies."""
    return Kill("edge", ("tracking",), killed_s, since_s=killed_s)


def test_a_wait_counts_in_full_whatever_else_died_in_it() -> None:
    """The shard dies 6 s into a wait of 9 s for the edge: 9 s for the edge, 3 s for the shard."""
    kills = [edge(100.0), Kill("shard", ("shard-1",), 106.0, since_s=106.0)]
    customer = watcher((99.5, 99.0), (109.0, 108.8))
    after_edge, after_shard = (returns(kills, [customer], kind) for kind in ("edge", "shard"))
    assert (after_edge.samples, after_edge.longest_s, after_edge.soon) == (1, 9.0, 0.0)
    assert (after_shard.samples, after_shard.longest_s, after_shard.soon) == (1, 3.0, 1.0)


def test_a_fix_of_before_the_kill_is_no_return() -> None:
    """What was under way when the edge died came after it, but says nothing of the time after."""
    assert returns([edge(100.0)], [watcher((100.2, 99.9), (103.0, 102.9))], "edge").longest_s == 3.0


def test_who_never_sees_anything_again_counts() -> None:
    """One of two customers is back after 2 s, the other never."""
    found = returns([edge(100.0)], [watcher((102.0, 101.9)), watcher((99.0, 98.9))], "edge")
    assert (found.kills, found.samples, found.never, found.soon) == (1, 1, 1, 0.5)
    assert found.longest_each_s == (2.0,)


@pytest.mark.parametrize(
    ("shown", "went_back"),
    [
        (["placed", "authorised", "accepted", "assigned", "picked_up", "delivered"], []),
        (["accepted", "picked_up", "completed"], []),
        (["accepted", "assigned", "accepted", "assigned", "picked_up"], []),
        (["placed", "accepted", "cancelled"], []),
        (["assigned", "picked_up", "failed"], []),
        (["accepted", "picked_up", "assigned", "picked_up"], [("picked_up", "assigned")]),
        (["accepted", "assigned", "authorised", "picked_up"], [("assigned", "authorised")]),
        (["picked_up", "accepted", "picked_up"], [("picked_up", "accepted")]),
        (["cancelled", "delivered"], [("cancelled", "delivered")]),
        (["delivered", "cancelled"], [("delivered", "cancelled")]),
        (["accepted", "unspecified"], [("accepted", "unspecified")]),
    ],
)
async def test_a_status_goes_back_only_when_the_order_is_given_back(
    shown: list[str], went_back: list[tuple[str, str]]
) -> None:
    """Snapshots and news alike say what the status is."""
    customer = Watcher("order", "/", ())
    for number, status in enumerate(shown):
        frame = {"type": "status" if number % 2 else "snapshot", "status": status, "rider": None}
        customer.see(frame, came_s=float(number))
    assert customer.went_back == went_back


async def test_only_exact_positions_of_a_picked_up_order_count() -> None:
    """A cell is none, and an exact place under another status is not what the customer should see."""
    customer = Watcher("order", "/", ())
    exact = {"type": "position", "lat": -29.9, "lng": -71.2}
    customer.see({"type": "snapshot", "status": "assigned", "rider": {"cell": "88", "ts_ms": 1_000}}, came_s=1.1)
    customer.see({**exact, "ts_ms": 2_000}, came_s=2.1)
    assert customer.back_s(0.0) is None
    customer.see({"type": "status", "status": "picked_up"}, came_s=2.5)
    customer.see({**exact, "ts_ms": 3_000}, came_s=3.1)
    assert customer.back_s(0.0) == 3.1
    customer.see({**exact, "ts_ms": 2_900}, came_s=3.2)
    assert customer.older_fixes == 1
