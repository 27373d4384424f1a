"""Reads that may be a little old go to a replica of the database.

How old a replica is, is measured, not assumed: again and again the primary is asked how far its log is on disk, and the
replica until it has replayed that far; then it has everything that was committed before the question (`current_s`). A
read goes to the replica when that is after all that this customer has written, or read from the primary, in this
process: who has just placed an order finds it, and nobody sees time go back. (Customers are told apart by shard point:
65,536 of them, so what is remembered is bounded.) A replica that lags by more than `max_age_s`, fails or is promoted is
not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import asyncpg
import structlog

from node.clock import Clock
from node.errors import Retryable
from node.postgres import classified
from orders.ids import POINTS, point_of_order, point_of_user
from orders.messaging.message import Offset
from orders.metrics import REPLICA_AGE_S, REPLICA_READS
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.adapters.postgres import PostgresOrders
from orders.ordering.events import Change
from orders.ordering.hearing import Absorbed, Heard
from orders.ordering.ports import IdempotencyKey, Page, Placement

T = TypeVar("T")

#: Between two measurements, and between two looks at a replica that is behind; wall seconds.
EVERY_S, LOOK_S = 0.25, 0.05

_ON_DISK = "select pg_current_wal_flush_lsn()::text"
_REPLAYED = "select pg_is_in_recovery() and pg_last_wal_replay_lsn() >= $1::text::pg_lsn"


class ReplicatedOrders:
    """The orders of one database, read from its replica where that is recent enough for who asks."""

    def __init__(
        self,
        primary: PostgresOrders,
        pools: tuple[asyncpg.Pool, asyncpg.Pool],
        max_age_s: float,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._primary = primary
        self._primary_pool, self._replica_pool = pools
        self._replica = PostgresOrders(self._replica_pool, clock, _nothing_written)
        self._max_age_s = max_age_s
        self._clock = clock
        self._log = log
        #: The replica has all that was committed before then, monotonic seconds.
        self.current_s = float("-inf")
        #: By shard point: when somebody last wrote, or read from the primary.
        self._seen_s = [float("-inf")] * POINTS

    async def run(self) -> None:
        """Measures how old the replica is, until cancelled."""
        while True:
            try:
                await self._measure()
            except Retryable as error:
                self._log.warning("replica not measured", error=str(error))
            self._tell_age()
            await asyncio.sleep(EVERY_S)

    async def _measure(self) -> None:
        asked_s = self._clock.monotonic_s()
        with classified():
            on_disk = await self._primary_pool.fetchval(_ON_DISK)
            while not await self._replica_pool.fetchval(_REPLAYED, on_disk):
                self._tell_age()
                await asyncio.sleep(LOOK_S)
        self.current_s = asked_s

    def _tell_age(self) -> None:
        REPLICA_AGE_S.set(min(self._clock.monotonic_s() - self.current_s, 1e6))

    async def get(self, order_id: OrderId) -> Order | None:
        order = await self._read(point_of_order(order_id), lambda store: store.get(order_id))
        # One that another process has just placed may not have come here yet: that it is nowhere, the primary says.
        return order or await self._primary.get(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        return await self._read(point_of_user(user_id), lambda store: store.page(user_id, before, limit))

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        placement = await self._primary.place(change, key)
        self._saw(point_of_user(change.order.user_id))
        return placement

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        order = await self._primary.change(order_id, decide)
        self._saw(point_of_order(order_id))
        return order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        return await self._primary.absorb(heard, offsets)

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        return await self._primary.stuck(status, older_than_s, limit)

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        return await self._primary.count_stuck(status, older_than_s)

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        return await self._primary.tell_again(status, older_than_s, limit)

    async def _read(self, point: int, read: Callable[[PostgresOrders], Coroutine[Any, Any, T]]) -> T:
        if self._may_read_replica(point):
            try:
                found = await read(self._replica)
            except Retryable as error:
                self._log.warning("replica did not answer", error=str(error))
                self.current_s = float("-inf")
            else:
                REPLICA_READS.labels("replica").inc()
                return found
        REPLICA_READS.labels("primary").inc()
        found = await read(self._primary)
        self._saw(point)
        return found

    def _may_read_replica(self, point: int) -> bool:
        recent = self._clock.monotonic_s() - self.current_s <= self._max_age_s
        return recent and self.current_s > self._seen_s[point]

    def _saw(self, point: int) -> None:
        self._seen_s[point] = self._clock.monotonic_s()


def _nothing_written() -> None:
    """A replica is only read."""
