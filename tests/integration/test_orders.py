"""Orders and payments from end to end: real processes, real Postgres, real Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from proto.orders.v1 import orders_pb2 as pb
from tests.integration.orders_world import OrdersWorld, basket, orders_world


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OrdersWorld]:
    """Orders and payments for the tests of this file; no test may kill them."""
    async with orders_world(stack, tmp_path_factory.mktemp("orders")) as running:
        yield running


async def test_an_order_goes_all_the_way(world: OrdersWorld) -> None:
    """Placed, authorised, accepted and opened in the city's log, delivered, captured, completed."""
    order = await world.place()
    assert order.status == pb.ORDER_STATUS_PLACED
    assert order.price.total.minor == 2 * 4500 + 1490 + 350 + 500
    accepted = await world.until_status(order.order_id, "ACCEPTED")
    assert accepted.ready_ms == accepted.history[-1].at_ms + 600_000
    await world.deliver(order.order_id)
    done = await world.until_status(order.order_id, "COMPLETED")
    assert [pb.OrderStatus.Name(line.status)[13:] for line in done.history] == [
        "PLACED", "AUTHORISED", "ACCEPTED", "ASSIGNED", "PICKED_UP", "DELIVERED", "COMPLETED",
    ]  # fmt: skip
    assert done.rider_id == 7
    payment = await world.until_payment(order.order_id, "CAPTURED")
    assert payment.amount == order.price.total
    events = await world.city_events(order.order_id)
    assert {event.order_opened.order_id for event in events} == {order.order_id}
    assert events[0].order_opened.ready_ms == accepted.ready_ms
    assert events[0].order_opened.promised_ms == order.promised_ms
    assert basket().items[0].quantity == events[0].order_opened.items
