"""The state table of orders."""

from __future__ import annotations

import pytest

from orders.model import FINAL, Status
from orders.ordering.errors import TransitionRefused
from orders.ordering.transitions import TABLE, Trigger, next_status


@pytest.mark.parametrize("status", sorted(FINAL))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_nothing_leaves_a_final_status(status: Status, trigger: Trigger) -> None:
    """Whatever happens, a final order stays as it is, and the refusal says so."""
    with pytest.raises(TransitionRefused, match="nothing can happen") as refusal:
        next_status(status, trigger)
    assert refusal.value.details == {"status": status}


def test_every_status_is_reached_and_every_open_one_can_end() -> None:
    """The table has no island and no trap."""
    reached = {Status.PLACED}
    while more := {after for (before, _), after in TABLE.items() if before in reached} - reached:
        reached |= more
    assert reached == set(Status)
    ends = set(FINAL)
    while more := {before for (before, _), after in TABLE.items() if after in ends} - ends:
        ends |= more
    assert ends == set(Status)


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        (Status.PLACED, True),
        (Status.AUTHORISED, True),
        (Status.ACCEPTED, True),
        (Status.ASSIGNED, True),
        (Status.PICKED_UP, False),
        (Status.DELIVERED, False),
    ],
)
def test_a_customer_may_cancel_until_the_rider_has_the_food(status: Status, allowed: bool) -> None:
    """Cancelling is allowed before pickup and refused, with the state, after it."""
    assert ((status, Trigger.CANCEL) in TABLE) is allowed


@pytest.mark.parametrize("status", list(Status))
def test_what_the_table_does_not_have_is_refused_with_its_reason(status: Status) -> None:
    """Every pair of status and trigger is a transition or a refusal that names the status and says why."""
    for trigger in Trigger:
        if (status, trigger) in TABLE:
            assert next_status(status, trigger) is TABLE[status, trigger]
            continue
        with pytest.raises(TransitionRefused) as refusal:
            next_status(status, trigger)
        assert refusal.value.reason == "TRANSITION_REFUSED"
        assert refusal.value.details == {"status": status}
        assert str(refusal.value).startswith(f"the order is {status}, it cannot {trigger.lower()}: ")
