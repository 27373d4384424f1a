"""The sweeper of stuck sagas."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from node.clock import ManualClock
from orders.adapters.memory import MemoryOrders
from orders.hearing import Source
from orders.messaging.message import Message, Offset
from orders.model import Status
from orders.ports import IdempotencyKey
from orders.saga import Signal
from orders.sweeper import Sweeper
from orders.transitions import Trigger
from tests.unit.orders.worlds import NOW_MS, heard, order_id, placed


async def sent(store: MemoryOrders) -> list[str]:
    """Ids of the events that are to be sent, sent."""
    ids: list[str] = []

    async def send(messages: Sequence[Message]) -> None:
        ids.extend(message.event_id for message in messages)

    await store.outbox.relay(100, send)
    return ids


async def test_a_placed_order_without_an_answer_is_told_again_and_given_up_in_the_end() -> None:
    """After half a minute its event is sent once more, after a quarter of an hour it is cancelled."""
    clock = ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    sweeper = Sweeper(store, clock, structlog.get_logger())
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
    assert (await store.absorb([late], [Offset("payment.events", 0, 1)])).refused == 1
    assert f"{order_id()}-2" in await sent(store)


async def test_an_order_that_is_on_its_way_is_left_alone() -> None:
    """Riding takes as long as it takes; an open order is told again after ten minutes only."""
    clock = ManualClock(NOW_MS)
    store = MemoryOrders(clock)
    sweeper = Sweeper(store, clock, structlog.get_logger())
    await store.place(placed(), IdempotencyKey("key-00000001", b""))
    await store.absorb([heard(Source.PAYMENTS, 1, Signal(Trigger.AUTHORISE, NOW_MS))], [])
    await sent(store)
    clock.advance(120_000)
    await sweeper.sweep()
    assert await sent(store) == []
    clock.advance(600_000)
    await sweeper.sweep()
    assert f"{order_id()}-opened" in await sent(store)
    await store.absorb([heard(Source.DISPATCH, 1, Signal(Trigger.ASSIGN, NOW_MS))], [])
    clock.advance(7_200_000)
    await sweeper.sweep()
    assert await sent(store) == []
