"""The limit of calls: payments refuse those that are too many."""

from __future__ import annotations

from collections.abc import Coroutine

import pytest

from node.clock import ManualClock
from node.errors import Retryable
from orders.call_limit import CallLimit
from orders.errors import UnknownOrder
from orders.payments.adapters.memory import MemoryPayments
from orders.payments.grpc_api import PaymentsApi
from orders.payments.metrics import TURNED_AWAY
from proto.payments.v1 import payments_pb2 as pb
from tests.unit.orders.worlds import NOW_MS, order_id


async def test_a_call_too_many_of_payments_is_turned_away_at_once() -> None:
    """When one is done the next is admitted."""
    api = PaymentsApi(MemoryPayments(ManualClock(NOW_MS)), lambda: None, limit=CallLimit(TURNED_AWAY, 1))
    calls: list[Coroutine[None, None, object]] = [
        api.Get(pb.GetRequest(order_id=order_id()), None),
        api.Refund(pb.RefundRequest(order_id=order_id(), idempotency_key="key-00000001"), None),
    ]
    async with api.limit.admitted():
        for call in calls:
            with pytest.raises(Retryable) as error:
                await call
            assert error.value.reason == "OVERLOADED"
    with pytest.raises(UnknownOrder):
        await api.Get(pb.GetRequest(order_id=order_id()), None)
