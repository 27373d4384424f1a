"""The saga's steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.model import FINAL, Status
from orders.ordering.errors import TransitionRefused
from orders.ordering.events import Fact, Opened, OrderFact, Withdrawn
from orders.ordering.saga import Signal, follow, step
from orders.ordering.transitions import Trigger
from tests.unit.orders.worlds import NOW_MS, after, placed


def test_the_kitchen_accepts_an_authorised_order_at_once() -> None:
    """Authorised and accepted in one go; payments' part is told on order.events, dispatch's on city.events."""
    change, _ = follow(placed().order, [Signal(Trigger.AUTHORISE, NOW_MS + 5)])
    assert change.order.status is Status.ACCEPTED
    assert change.order.ready_ms == NOW_MS + 5 + 600_000
    assert change.events == (OrderFact(change.order, Fact.ACCEPTED, NOW_MS + 5), Opened(change.order))
    assert change.order.events == 2


@pytest.mark.parametrize(
    ("before", "withdrawn"),
    [
        ((), False),
        ((Trigger.AUTHORISE,), True),
        ((Trigger.AUTHORISE, Trigger.ASSIGN), True),
    ],
)
def test_a_cancelled_order_is_withdrawn_from_dispatch_if_it_was_there(
    before: tuple[Trigger, ...], withdrawn: bool
) -> None:
    """Payments always hear of it, dispatch only when it knows the order."""
    change = step(after(*before), Signal(Trigger.CANCEL, NOW_MS, reason="changed my mind"))
    kinds = [type(event) for event in change.events]
    assert kinds == ([OrderFact, Withdrawn] if withdrawn else [OrderFact])
    fact = change.events[0]
    assert isinstance(fact, OrderFact)
    assert (fact.fact, fact.reason) == (Fact.CANCELLED, "changed my mind")


def test_an_order_nobody_can_carry_fails_and_is_voided() -> None:
    """Dispatch's failure is told to payments and not told back to dispatch."""
    change = step(after(Trigger.AUTHORISE), Signal(Trigger.FAIL, NOW_MS, reason="no_riders"))
    assert change.order.status is Status.FAILED
    assert [type(event) for event in change.events] == [OrderFact]


def test_a_new_eta_changes_no_status_and_a_lost_rider_is_forgotten() -> None:
    """ETAs are kept while dispatch has the order; an unassigned order has no rider."""
    assigned, _ = follow(after(Trigger.AUTHORISE), [Signal(Trigger.ASSIGN, 1, rider_id=2**64 - 1, eta_ms=50)])
    assert (assigned.order.rider_id, assigned.order.eta_ms) == (2**64 - 1, 50)
    later = step(assigned.order, Signal(None, 2, eta_ms=60)).order
    assert (later.eta_ms, later.status, len(later.history)) == (60, Status.ASSIGNED, len(assigned.order.history))
    assert step(later, Signal(Trigger.UNASSIGN, 3)).order.rider_id == 0
    assert step(placed().order, Signal(None, 2, eta_ms=60)).order == placed().order


@given(st.lists(st.sampled_from(Trigger), max_size=25))
def test_any_signals_in_any_order_leave_a_lawful_order(triggers: list[Trigger]) -> None:
    """Versions grow by one a change, event versions by one an event, histories hold every step, final is final."""
    change, refused = follow(placed().order, [Signal(trigger, n) for n, trigger in enumerate(triggers)])
    order = change.order
    assert order.version == len(order.history)
    assert [e.order.events for e in change.events if isinstance(e, OrderFact)] == list(range(2, order.events + 1))
    statuses = [line.status for line in order.history]
    assert all(status not in FINAL for status in statuses[:-1])
    assert statuses[-1] is order.status
    assert all(isinstance(refusal, TransitionRefused) for refusal in refused)
