"""Read payment.events and dispatch.events into one database of orders.

Each database has a listener of its own, with offsets of its own, that drops what orders of other ranges are told: a
database that is away holds up its own orders only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from prometheus_client import Counter

from node.set_aside import SetAside
from orders.messaging.listener import Listener
from orders.messaging.message import Offset
from orders.ordering.adapters.codec import event_of, parse
from orders.ordering.event_inbox import ReceivedEvent, Source
from orders.ordering.metrics import EVENTS_HEARD, EVENTS_UNREADABLE
from orders.ordering.ports import OrderDecisions
from orders.ranges import Range
from proto.topics import DISPATCH_EVENTS, PAYMENT_EVENTS

SOURCES: Mapping[str, Source] = {PAYMENT_EVENTS.name: Source.PAYMENTS, DISPATCH_EVENTS.name: Source.DISPATCH}


def listener(
    decisions: OrderDecisions, own: Range, set_aside: SetAside, log: structlog.stdlib.BoundLogger
) -> Listener[ReceivedEvent]:
    """The listener of the database that holds `own`."""

    def decode_own(topic: str, payload: bytes) -> ReceivedEvent | None:
        order_id, message = parse(SOURCES[topic], payload)
        return event_of(SOURCES[topic], payload, order_id, message) if own.holds(order_id) else None

    async def receive(events: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> None:
        outcome = await decisions.receive(events, offsets)
        for what in ("applied", "duplicates", "held", "refused", "unknown"):
            EVENTS_HEARD.labels(what).inc(getattr(outcome, what))

    def unreadable(topic: str) -> Counter:
        return EVENTS_UNREADABLE.labels(SOURCES[topic])

    return Listener(decode_own, receive, set_aside, unreadable, log)
