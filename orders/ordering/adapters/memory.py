"""Orders in memory: for tests and single-process runs. Same promises as Postgres but durability."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.clock import Clock
from node.outbox.memory import MemoryOutbox
from node.outbox.message import Message
from orders.messaging.message import Offset
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.adapters.codec import encode
from orders.ordering.errors import KeyReused
from orders.ordering.event_inbox import (
    BatchOutcome,
    EventOutcome,
    ReceivedEvent,
    SeenVersions,
    Source,
    apply_events,
)
from orders.ordering.events import Change, Event
from orders.ordering.observers import NO_OBSERVERS, WriteObservers
from orders.ordering.ports import IdempotencyKey, Page, Placement


@dataclass(slots=True)
class _Kept:
    order: Order
    seen: SeenVersions
    changed_ms: int


class MemoryOrders:
    """`OrderReads`, `OrderDecisions` and `StuckOrders` of one process."""

    def __init__(self, clock: Clock, observers: WriteObservers = NO_OBSERVERS) -> None:
        self._clock = clock
        self._observers = observers
        self._orders: dict[OrderId, _Kept] = {}
        self._keys: dict[tuple[UserId, str], tuple[OrderId, bytes]] = {}
        self._held: dict[OrderId, list[ReceivedEvent]] = defaultdict(list)
        #: How often orders were sent again, and until when they are left alone, wall milliseconds.
        self._sent_again: dict[OrderId, tuple[int, float]] = {}
        self.offsets: dict[tuple[str, int], int] = {}
        self.outbox = MemoryOutbox()

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        try:
            return self._place(change, key)
        finally:
            await self._observers.placed(change.order)

    def _place(self, change: Change, key: IdempotencyKey) -> Placement:
        order = change.order
        known = self._keys.setdefault((order.user_id, key.key), (order.order_id, key.body_sha256))
        if known[1] != key.body_sha256:
            raise KeyReused(known[0])
        if known[0] != order.order_id:
            return Placement(self._orders[known[0]].order, replayed=True)
        self._keep(change, dict.fromkeys(Source, 0))
        return Placement(order, replayed=False)

    async def get(self, order_id: OrderId) -> Order | None:
        kept = self._orders.get(order_id)
        return kept.order if kept else None

    def all(self) -> list[Order]:
        """Every order, in the order of ids."""
        return [self._orders[order_id].order for order_id in sorted(self._orders)]

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        mine = [kept.order for kept in self._orders.values() if kept.order.user_id == user_id]
        older = [order for order in mine if before is None or order.order_id < before]
        return Page.of(sorted(older, key=lambda order: order.order_id, reverse=True), limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        kept = self._orders.get(order_id)
        if kept is None:
            return None
        with self._observers.told_if_unknown():
            change = decide(kept.order)
            if change.order != kept.order:
                self._keep(change, kept.seen)
            await self._observers.changed(change.order)
        return change.order

    async def receive(self, events: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> BatchOutcome:
        outcome = BatchOutcome()
        arrived: dict[OrderId, list[ReceivedEvent]] = defaultdict(list)
        for event in events:
            if event.order_id in self._orders:
                arrived[event.order_id].append(event)
            else:
                outcome.unknown += 1
        with self._observers.told_if_unknown():
            for order_id, received in arrived.items():
                outcome.add(self._apply(order_id, received))
            self.offsets |= {(offset.topic, offset.partition): offset.next for offset in offsets}
            await self._observers.received(outcome.changed)
        return outcome

    def _apply(self, order_id: OrderId, received: Sequence[ReceivedEvent]) -> EventOutcome:
        kept = self._orders[order_id]
        outcome = apply_events(kept.order, kept.seen, [*self._held.pop(order_id, []), *received])
        self._held[order_id] = list(outcome.hold)
        if outcome.applied:
            self._keep(outcome.change, outcome.seen)
        return outcome

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        before_ms = self._clock.wall_ms() - 1000 * older_than_s
        found = [kept for kept in self._orders.values() if kept.order.status is status and kept.changed_ms < before_ms]
        return [kept.order.order_id for kept in sorted(found, key=lambda kept: kept.changed_ms)[:limit]]

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        return len(await self.stuck(status, older_than_s, len(self._orders)))

    async def send_again(self, status: Status, older_than_s: float, limit: int) -> int:
        now_ms = self._clock.wall_ms()
        stuck = await self.stuck(status, older_than_s, len(self._orders))
        due = [order_id for order_id in stuck if self._sent_again.get(order_id, (0, 0.0))[1] <= now_ms][:limit]
        for order_id in due:
            times = self._sent_again.get(order_id, (0, 0.0))[0] + 1
            self._sent_again[order_id] = (times, now_ms + 1000 * min(older_than_s * 2**times, 3600))
        self.outbox.send_again(due)
        return len(due)

    def _keep(self, change: Change, seen: SeenVersions) -> None:
        self._orders[change.order.order_id] = _Kept(change.order, seen, self._clock.wall_ms())
        self.outbox.unsent += self._messages(change.events)

    def _messages(self, events: Sequence[Event]) -> list[Message]:
        return [encode(event, self._clock.wall_ms()) for event in events]


def _accepted_ms(order: Order) -> int:
    return next(line.at_ms for line in order.history if line.status is Status.ACCEPTED)
