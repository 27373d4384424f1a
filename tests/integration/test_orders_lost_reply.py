"""A produce reply that is dropped on purpose: the event is in its topic twice, and changes nothing the second time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from deploy.stack.stack import LocalStack
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.orders.v1.order_event_pb2 import OrderEvent
from proto.payments.v1.payment_event_pb2 import PaymentEvent
from proto.topics import CITY_EVENTS, ORDER_EVENTS, PAYMENT_EVENTS
from tests.integration.kafka_proxy import DroppingProxy
from tests.integration.orders_world import OrdersWorld, orders_world
from tests.shared_log import readable


async def copies(world: OrdersWorld, order_id: str) -> Counter[str]:
    """How often each event about the order is in the log."""
    ids: Counter[str] = Counter()
    told = [
        *[event.event_id for event in readable(OrderEvent, await world.messages(ORDER_EVENTS.name))],
        *[event.event_id for event in readable(PaymentEvent, await world.messages(PAYMENT_EVENTS.name))],
        *[event.event_id for event in readable(CityEvent, await world.messages(CITY_EVENTS.name))],
    ]
    ids.update(event_id for event_id in told if event_id.startswith(order_id))
    return ids


@pytest.mark.prove
async def test_a_dropped_produce_reply_makes_duplicates_that_change_nothing(stack: LocalStack, tmp_path: Path) -> None:
    """Replies are lost when the order is placed, accepted and delivered: events come twice; one order, charged once."""
    proxy = DroppingProxy(stack.env["FORNO_KAFKA_URL"], b"events")
    async with proxy.running(), orders_world(stack, tmp_path, {"FORNO_KAFKA_URL": proxy.address}) as world:
        proxy.drops = 1
        order = await world.place()
        await world.until_status(order.order_id, "AUTHORISED", "ACCEPTED")
        proxy.drops = 1
        await world.until_status(order.order_id, "ACCEPTED")
        await world.deliver(order.order_id)
        proxy.drops = 2
        done = await world.until_status(order.order_id, "COMPLETED")
        await world.until_payment(order.order_id, "CAPTURED")
        assert proxy.dropped >= 2
        found = await copies(world, order.order_id)
        assert max(found.values()) > 1, found
        assert len(done.history) == 7
        keys = await world.fetch("payments", "select distinct key from ledger where order_id = $1", order.order_id)
        assert len(keys) == 2
        charges = await world.fetch(
            "payments",
            "select state, times from local_provider.charges join local_provider.answers using (provider_ref)"
            " join payments using (provider_ref) where order_id = $1 and key like '%:capture'",
            order.order_id,
        )
        assert [row["state"] for row in charges] == ["CAPTURED"]
