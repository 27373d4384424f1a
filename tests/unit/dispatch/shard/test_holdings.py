"""Holdings follow the orders of the engine, whatever it does with them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId
from dispatch.shard.holdings import Holding, Holdings
from tests.unit.dispatch.shard.worlds import NOON_MS, order

_LATER = [OrderStatus.OPEN, OrderStatus.OFFERED, OrderStatus.ASSIGNED, OrderStatus.PICKED_UP, OrderStatus.DELIVERED]


@st.composite
def changes(draw: st.DrawFn) -> Order:
    """An order in any state with any of two riders."""
    status = draw(st.sampled_from(_LATER))
    rider = None if status is OrderStatus.OPEN else draw(st.integers(1, 2))
    ended_ms = NOON_MS if status is OrderStatus.DELIVERED else None
    return order(f"o-{draw(st.integers(1, 4))}", status, rider, ended_ms=ended_ms)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(changes(), max_size=4, unique_by=lambda o: o.order_id), max_size=12))
def test_holdings_say_what_the_orders_say(ticks: list[list[Order]]) -> None:
    """After any ticks: one holding for each order with a rider, a place exactly when it is taken, no place twice."""
    holdings = Holdings()
    now: dict[OrderId, Order] = {}
    for changed in ticks:
        planned = holdings.plan(changed)
        began = [h.order_id for h in planned.begun]
        assert len(began) == len(set(began))
        assert all(order_id in planned.ended or order_id not in holdings.live for order_id in began)
        holdings.commit(planned)
        now.update((o.order_id, o) for o in changed)
        held = {i: o for i, o in now.items() if o.rider_id is not None and not o.ended}
        assert set(holdings.live) == set(held)
        for order_id, holding in holdings.live.items():
            assert holding.rider_id == held[order_id].rider_id
            assert (holding.place is None) == (held[order_id].status is OrderStatus.OFFERED)
        places = [(h.rider_id, h.place) for h in holdings.live.values() if h.place is not None]
        assert len(places) == len(set(places))


def test_the_lowest_free_place_is_taken() -> None:
    """Slots 0 and 2 are taken: the next order gets 1."""
    holdings = Holdings.load(Holding(OrderId(f"o-{place}"), RiderId(1), place) for place in (0, 2))
    planned = holdings.plan([order("o-9", OrderStatus.ASSIGNED, 1)])
    assert planned.begun == (Holding(OrderId("o-9"), RiderId(1), 1),)
