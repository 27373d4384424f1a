"""The sweeper of stuck sagas."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog

from node.clock import ManualClock
from node.outbox.message import Message
from orders.messaging.message import Offset
from orders.model import Status
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.event_inbox import Source
from orders.ordering.metrics import STUCK
from orders.ordering.ports import IdempotencyKey
from orders.ordering.saga import Signal
from orders.ordering.sweeper import GIVEN_UP_BY, STUCK_AFTER_S, Sweeper
from orders.ordering.transitions import TABLE, Trigger
from tests.unit.orders.worlds import NOW_MS, heard, order_id, placed


async def sent(store: MemoryOrders) -> list[str]:
    """Ids of the events that are to be sent, sent."""
    ids: list[str] = []

    async def send(messages: Sequence[Message]) -> dict[int, str]:
        ids.extend(message.event_id for message in messages)
        return {}

    await store.outbox.relay(100, send)
    return ids


async def test_a_placed_order_without_an_answer_is_told_again_and_given_up_in_the_end() -> None:
    """After half a minute its event is sent once more, after a quarter of an hour it is cancelled."""
    clock = ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    sweeper = Sweeper("orders_0", store, store, clock, structlog.get_logger())
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    assert await sent(store) == [f"{order_id()}-1"]
    await sweeper.sweep()
    assert await sent(store) == []
    clock.advance(31_000)
    await sweeper.sweep()
    assert await sent(store) == [f"{order_id()}-1"]
    # It is left alone for a minute, then for two.
    for wait_ms, told in ((15_000, False), (45_000, True), (100_000, False), (20_000, True)):
        clock.advance(wait_ms)
        await sweeper.sweep()
        assert await sent(store) == ([f"{order_id()}-1"] if told else [])
    clock.advance(720_000)
    await sweeper.sweep()
    order = await store.get(order_id())
    assert order is not None
    assert (order.status, order.history[-1].reason) == (Status.CANCELLED, "payment_timeout")
    # Payments answers after all: too late, the order stays as it is and payments is told to void.
    late = heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS))
    assert (await store.receive([late], [Offset("payment.events", 0, 1)])).refused == 1
    assert f"{order_id()}-2" in await sent(store)


async def test_an_order_that_is_on_its_way_is_left_alone_for_hours_and_then_given_up() -> None:
    """An open order is told again after ten minutes, one that rides never; when dispatch's word was lost it counts as
    stuck in the end, and fails after six hours, so that the money goes back.
    """
    clock = ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    sweeper = Sweeper("orders_0", store, store, clock, structlog.get_logger())
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    await store.receive([heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS))], [])
    await sent(store)
    clock.advance(120_000)
    await sweeper.sweep()
    assert await sent(store) == []
    clock.advance(600_000)
    await sweeper.sweep()
    assert f"{order_id()}-opened" in await sent(store)
    await store.receive([heard(Source.DISPATCH, 1, Signal(Trigger.ASSIGN, NOW_MS))], [])
    clock.advance(7_200_000)
    await sweeper.sweep()
    assert await sent(store) == []
    assert gauge(Status.ASSIGNED) == 0
    clock.advance(2_000_000)
    await sweeper.sweep()
    assert gauge(Status.ASSIGNED) == 1
    assert await sent(store) == []
    clock.advance(6 * 3_600_000)
    await sweeper.sweep()
    order = await store.get(order_id())
    assert order is not None
    assert (order.status, order.history[-1].reason) == (Status.FAILED, "dispatch_timeout")
    assert len(await sent(store)) == 1


@pytest.mark.parametrize("status", [Status.PLACED, Status.ACCEPTED, Status.ASSIGNED, Status.PICKED_UP])
def test_every_end_is_a_transition_that_exists(status: Status) -> None:
    """And comes after the order was counted as stuck."""
    end = GIVEN_UP_BY[status]
    assert (status, end.trigger) in TABLE
    assert end.after_s > STUCK_AFTER_S[status]


async def test_orders_that_were_told_lately_do_not_hold_up_those_behind_them() -> None:
    """One at a time: the oldest is told, then left alone, and the next one has its turn."""
    clock = ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    for number in (1, 2):
        await store.place(placed(number), IdempotencyKey(f"key-0000000{number}", b""))
        clock.advance(1_000)
    clock.advance(60_000)
    assert len(await sent(store)) == 2
    for number in (1, 2):
        assert await store.send_again(Status.PLACED, 30, 1) == 1
        assert await sent(store) == [f"{order_id(number)}-1"]
    assert await store.send_again(Status.PLACED, 30, 1) == 0
    assert await store.count_stuck(Status.PLACED, 30) == 2


def gauge(status: Status) -> float:
    """How many orders count as stuck."""
    return float(STUCK.labels("orders_0", status)._value.get())
