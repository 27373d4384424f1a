"""The figures of a report, and what breaks it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shard_router.audit.checks import Audit, AuditFinding
from simulator.demo.facts.database import DispatchFacts, Spread
from simulator.demo.facts.logs import LoggedFixes, fix_keys, missing, newest_when_they_came
from simulator.demo.facts.shards import AppliedFixes, ShardRow
from simulator.demo.report import RunFacts, broken, report

#: Rider 1: fixes 1 and 2 of session 10, of which the acknowledgement of 2 was lost, and 1 of session 11, its resend.
ROWS = fix_keys([(1, 10, 1), (1, 10, 2), (1, 11, 1), (2, 7, 1)])
ACKED = fix_keys([(1, 10, 1), (1, 11, 1), (2, 7, 1)])
NOTHING = Spread(0, None, None)

GOOD = RunFacts(
    seed=1,
    speed=30,
    seconds=60,
    versions={"redis": "7"},
    shards=[ShardRow("shard-1", ("la-serena",), (1,))],
    hops_ms={"packed": {"p50": 5.0, "p99": 11.0, "samples": 4}},
    orders_placed=3,
    orders_refused={},
    order_statuses={"completed": 2, "assigned": 1},
    dispatch=DispatchFacts(
        delivered=2,
        held_twice=(),
        tick_ms=Spread(5, 10.0, 20.0),
        eta_error_s=NOTHING,
        eta_within_p90=None,
        click_to_door_mean_min=None,
        click_to_door_min=NOTHING,
        ready_to_pickup_mean_min=None,
    ),
    carried_twice=[],
    fixes_sent=5,
    fixes_acked=ACKED,
    fixes_unsettled=0,
    messages_refused={},
    logged=LoggedFixes.of(ROWS),
    applied=AppliedFixes(4, 0),
    fix_age_ms=np.array([10.0, 20.0, 500.0]),
    fix_was_offline=np.array([False, False, True]),
    watched=2,
    frames={"snapshot": 2, "position": 3},
    parts_restarted={},
    audit=Audit({"ticks": 20}, (), 0),
)


def test_a_good_run_is_whole() -> None:
    """Every figure of the contract is there, and nothing is broken."""
    document = report(GOOD)
    assert document["broken"] == []
    assert document["fix_age_at_hops_ms"] == {"packed": {"p50": 5.0, "p99": 11.0, "samples": 4}}
    assert document["orders"]["placed"] == 3
    assert document["orders"]["double_assigned"] == 0
    assert document["pings"] == {
        "sent": 5, "acked": 3, "applied": 3, "superseded": 0, "logged": 4, "resent": 1, "duplicates": 0, "lost": 0
    }  # fmt: skip
    assert document["fix_to_screen_ms"] == {"p50": 15.0, "p99": 19.9, "samples": 2}
    assert document["fix_to_screen_after_no_signal_ms"]["samples"] == 1
    assert document["shards"] == [{"shard": "shard-1", "cities": ["la-serena"], "epochs": [1]}]


def test_rows_said_twice_are_superseded_by_themselves() -> None:
    """A duplicate row is not a fix of its own: the shard counted it as superseded, the report does not."""
    twice = LoggedFixes.of(np.concatenate([ROWS, ROWS[:1]]))
    document = report(replace(GOOD, logged=twice, applied=AppliedFixes(4, 1)))
    assert (document["pings"]["duplicates"], document["pings"]["superseded"], document["broken"]) == (1, 0, [])


def test_an_unacknowledged_row_counts_as_the_log_shows() -> None:
    """A fix whose acknowledgement was lost was the newest when it came first, and overtaken when it came last."""
    first, last = LoggedFixes.of(ROWS), LoggedFixes.of(np.concatenate([ROWS[[0, 2, 3]], ROWS[[1]]]))
    assert first.unacked(ACKED) == (1, 0)
    assert last.unacked(ACKED) == (0, 1)


def test_what_former_owners_took_is_told_by_the_log() -> None:
    """Rows before where an owner began, by partition; a row that is not newer than one before it is superseded."""
    places = np.array([(7, 0), (7, 0), (7, 1), (8, 0)])
    logged = LoggedFixes.of(ROWS, places)
    assert logged.before({7: 1, 8: 0}).tolist() == ROWS[:2].tolist()
    assert len(logged.before({})) == 0
    assert newest_when_they_came(ROWS) == len(ROWS)
    assert newest_when_they_came(np.concatenate([ROWS, ROWS[:2]])) == len(ROWS)
    assert newest_when_they_came(ROWS[::-1]) < len(ROWS)


def test_missing_keys_are_counted() -> None:
    """What was acknowledged and is not in the log is lost."""
    assert missing(ACKED, ROWS[:1]) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dispatch": replace(GOOD.dispatch, held_twice=("o1",))}, "held by two riders"),
        ({"carried_twice": ["o1"]}, "carried by two riders"),
        ({"logged": LoggedFixes.of(ROWS[:2])}, "missing from the log"),
        ({"fixes_unsettled": 2}, "still unacknowledged"),
        ({"applied": AppliedFixes(2, 0)}, "3 fixes acknowledged, but 1 applied"),
        ({"messages_refused": {"out_of_range": 1}}, "refused messages"),
        ({"order_statuses": {"completed": 2}}, "3 orders were confirmed"),
        (
            {"audit": Audit({"ticks": 20}, (AuditFinding("epochs only grow", "roma", "tick 9"),), 0)},
            "audit found: ['tick 9']",
        ),
    ],
)
def test_what_must_hold_and_does_not_is_said(change: dict[str, object], says: str) -> None:
    """Each broken promise is a line that names it."""
    found = replace(GOOD, **change)  # type: ignore[arg-type]
    assert any(says in line for line in broken(found)), broken(found)
