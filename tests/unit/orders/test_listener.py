"""The listener of one database: it takes its own, and no event stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from node.clock import ManualClock
from node.errors import Retryable
from node.postgres import DataAtFault
from node.set_aside import BadMessage
from orders.ids import order_id_at
from orders.messaging.message import Offset
from orders.model import OrderId, Status, UserId
from orders.ordering.adapters.listener import listener
from orders.ordering.adapters.memory import MemoryOrders
from orders.ordering.event_inbox import BatchOutcome, ReceivedEvent
from orders.ordering.metrics import EVENTS_UNREADABLE
from orders.ordering.ports import IdempotencyKey
from orders.ranges import Range
from proto.dispatch.v1.dispatch_event_pb2 import Assigned, DispatchEvent, Unassigned
from proto.payments.v1.payment_event_pb2 import PaymentEvent
from tests.unit.orders.worlds import NOW_MS, order_id, placed

ALL = Range(0, 65535, "orders_0")


@dataclass
class Record:
    """A record of Kafka."""

    value: bytes | None
    offset: int
    topic: str = "payment.events"
    partition: int = 0
    key: bytes | None = None


def authorised(order: OrderId, offset: int = 0, version: int = 1) -> Record:
    """Payments' word on an order."""
    event = PaymentEvent(order_id=order, version=version, at_ms=NOW_MS)
    event.authorised.SetInParent()
    return Record(event.SerializeToString(), offset)


def dispatched(order: OrderId, offset: int, **kind: Any) -> Record:
    """Dispatch's word on an order; its version is its place in the log."""
    event = DispatchEvent(order_id=order, version=offset, at_ms=NOW_MS, **kind)
    return Record(event.SerializeToString(), offset, "dispatch.events")


#: A version that the store below does not take.
TOO_MUCH = 2**62


class Particular(MemoryOrders):
    """A store that, like Postgres, does not take every value."""

    async def receive(self, heard: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> BatchOutcome:
        if any(event.version >= TOO_MUCH for event in heard):
            raise DataAtFault("at_ms", "value out of int64 range")
        return await super().receive(heard, offsets)


@dataclass
class Aside:
    """What was set aside."""

    messages: list[BadMessage] = field(default_factory=list)

    async def __call__(self, bad: Sequence[BadMessage]) -> None:
        self.messages += bad


def passed_over() -> float:
    """Events of payments that were counted as such."""
    return float(EVENTS_UNREADABLE.labels("payments")._value.get())


async def store_of_two() -> Particular:
    """Ana's two placed orders."""
    store = Particular(ManualClock(NOW_MS))
    for number in (1, 2):
        await store.place(placed(number), IdempotencyKey(f"key-0000000{number}", b""))
    return store


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param(Record(b"\xff", 1), id="no message"),
        pytest.param(Record(b"", 1), id="a message of nothing"),
        pytest.param(authorised(order_id_at(2**48 - 1, 9915, 1), 1), id="an order of the year 10,889"),
        pytest.param(authorised(order_id(2), 1, version=2**64 - 1), id="a version that no column holds"),
        pytest.param(Record(None, 1), id="a tombstone"),
        pytest.param(authorised(order_id(2), 1, version=TOO_MUCH), id="what only the store finds out"),
    ],
)
async def test_an_event_that_nobody_can_take_is_set_aside(poison: Record) -> None:
    """The events around it are applied, and the next read begins after it."""
    store = await store_of_two()
    before, aside = passed_over(), Aside()
    await listener(store, ALL, aside, structlog.get_logger()).handle(
        [authorised(order_id(1), 0), poison, authorised(order_id(2), 2)]
    )
    assert passed_over() == before + 1
    assert [(bad.offset, bad.payload) for bad in aside.messages] == [(1, poison.value or b"")]
    assert aside.messages[0].reason
    assert [order.status for order in store.all()] == [Status.ACCEPTED, Status.ACCEPTED]
    assert store.offsets == {("payment.events", 0): 3}


async def test_an_event_of_an_unknown_kind_is_set_aside_and_holds_up_none_behind_it() -> None:
    """Its version counts; it is listed as passed over, for no reader would take it any more."""
    store = await store_of_two()
    aside = Aside()
    newer = PaymentEvent(order_id=order_id(1), version=1, at_ms=NOW_MS).SerializeToString() + b"\xa2\x06\x00"
    records = [Record(newer, 0), authorised(order_id(1), 1, version=2)]
    await listener(store, ALL, aside, structlog.get_logger()).handle(records)
    assert [(bad.offset, bad.passed_over) for bad in aside.messages] == [(0, True)]
    assert [order.status for order in store.all()] == [Status.ACCEPTED, Status.PLACED]


async def test_an_event_that_holds_a_nul_is_applied_without_it_and_holds_up_none_behind_it() -> None:
    """Its text is stored escaped; the message as it was is set aside as passed over."""
    store = await store_of_two()
    aside = Aside()
    orders = listener(store, ALL, aside, structlog.get_logger())
    records = [
        dispatched(order_id(1), 1, assigned=Assigned(rider_id=7)),
        dispatched(order_id(1), 2, unassigned=Unassigned(rider_id=7, reason="no\0")),
        dispatched(order_id(1), 3, assigned=Assigned(rider_id=8)),
    ]
    await orders.handle([authorised(order_id(1)), *records])
    assert [(bad.offset, bad.payload, bad.passed_over) for bad in aside.messages] == [(2, records[1].value, True)]
    assert aside.messages[0].reason == "unassigned.reason: holds a NUL, stored as \\x00; its version counts"
    order = await store.get(order_id(1))
    assert order is not None
    assert (order.status, order.rider_id) == (Status.ASSIGNED, 8)
    assert "no\\x00" in [line.reason for line in order.history]


async def test_a_database_takes_the_events_of_its_range_and_passes_all() -> None:
    """Those of another range are neither unknown to it nor set aside, whatever they hold, and its offsets go on."""
    store = await store_of_two()
    aside, other = Aside(), order_id(3, UserId("user-1"))
    records = [authorised(order_id(1), 0), authorised(other, 1), authorised(other, 2, version=2**64 - 1)]
    await listener(store, Range(0, 32767, "orders_0"), aside, structlog.get_logger()).handle(records)
    assert store.offsets == {("payment.events", 0): 3}
    assert aside.messages == []
    assert [order.status for order in store.all()] == [Status.ACCEPTED, Status.PLACED]


async def test_a_database_that_is_away_is_told_again() -> None:
    """That is no poison: the loop has to read the batch again."""

    class Away(MemoryOrders):
        async def receive(self, heard: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> BatchOutcome:
            raise Retryable("away")

    orders = listener(Away(ManualClock(NOW_MS)), ALL, Aside(), structlog.get_logger())
    with pytest.raises(Retryable):
        await orders.handle([authorised(order_id())])
