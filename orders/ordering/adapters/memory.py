"""Orders in memory: for tests and single-process runs. Same promises as Postgres but durability."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.clock import Clock
from orders.errors import KeyReused
from orders.messaging.memory import MemoryOutbox
from orders.messaging.message import Message, Offset
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.adapters.codec import encode
from orders.ordering.events import Change, Event
from orders.ordering.hearing import Absorbed, Heard, Seen, Source, digest
from orders.ordering.ports import IdempotencyKey, Page, Placement


@dataclass(slots=True)
class _Kept:
    order: Order
    seen: Seen
    changed_ms: int


class MemoryOrders:
    """Orders of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._orders: dict[OrderId, _Kept] = {}
        self._keys: dict[tuple[UserId, str], tuple[OrderId, bytes]] = {}
        self._held: dict[OrderId, list[Heard]] = defaultdict(list)
        #: How often orders were told again, and until when they are left alone, wall milliseconds.
        self._told: dict[OrderId, tuple[int, float]] = {}
        self.offsets: dict[tuple[str, int], int] = {}
        self.outbox = MemoryOutbox()

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
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
        change = decide(kept.order)
        if change.order != kept.order:
            self._keep(change, kept.seen)
        return change.order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        absorbed = Absorbed()
        arrived: dict[OrderId, list[Heard]] = defaultdict(list)
        for event in heard:
            if event.order_id in self._orders:
                arrived[event.order_id].append(event)
            else:
                absorbed.unknown += 1
        for order_id, events in arrived.items():
            kept = self._orders[order_id]
            digested = digest(kept.order, kept.seen, [*self._held.pop(order_id, []), *events])
            absorbed.count(digested)
            self._held[order_id] = list(digested.hold)
            if digested.applied:
                self._keep(digested.change, digested.seen)
        self.offsets |= {(offset.topic, offset.partition): offset.next for offset in offsets}
        return absorbed

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        before_ms = self._clock.wall_ms() - 1000 * older_than_s
        found = [kept for kept in self._orders.values() if kept.order.status is status and kept.changed_ms < before_ms]
        return [kept.order.order_id for kept in sorted(found, key=lambda kept: kept.changed_ms)[:limit]]

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        return len(await self.stuck(status, older_than_s, len(self._orders)))

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        now_ms = self._clock.wall_ms()
        stuck = await self.stuck(status, older_than_s, len(self._orders))
        due = [order_id for order_id in stuck if self._told.get(order_id, (0, 0.0))[1] <= now_ms][:limit]
        for order_id in due:
            times = self._told.get(order_id, (0, 0.0))[0] + 1
            self._told[order_id] = (times, now_ms + 1000 * min(older_than_s * 2**times, 3600))
        self.outbox.send_again(due)
        return len(due)

    def _keep(self, change: Change, seen: Seen) -> None:
        self._orders[change.order.order_id] = _Kept(change.order, seen, self._clock.wall_ms())
        self.outbox.unsent += self._messages(change.events)

    def _messages(self, events: Sequence[Event]) -> list[Message]:
        return [encode(event, self._clock.wall_ms()) for event in events]


def _accepted_ms(order: Order) -> int:
    return next(line.at_ms for line in order.history if line.status is Status.ACCEPTED)
