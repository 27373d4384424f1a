"""Read orders that may be a little old from a replica of the database.

How old a replica is, is measured, not assumed: again and again the primary is asked how far its log is on disk, and the
replica until it has replayed that far; then it has everything that was committed before the question (`current_s`). A
read goes to the replica when that is after all that this customer has written, or read from the primary, in this
process: who has just placed an order finds it, and nobody sees time go back. (Customers are told apart by shard point:
65,536 of them, so what is remembered is bounded.) A replica that lags by more than `max_age_s`, fails or is promoted is
not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import structlog

from node.clock import Clock
from node.errors import Retryable
from node.postgres import SchemaMissing, session, statements
from node.retry import every
from orders.ids import POINTS, point_of_order, point_of_user
from orders.model import Order, OrderId, UserId
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.metrics import REPLICA_AGE_S, REPLICA_READS
from orders.ordering.observers import WriteObserver
from orders.ordering.ports import Page

SQL = statements(__file__)

T = TypeVar("T")

#: Between two measurements, and between two looks at a replica that is behind; wall seconds.
EVERY_S, LOOK_S = 0.25, 0.05


class ReplicaReads(WriteObserver):
    """`OrderReads` of one database that go to its replica where that is recent enough for who asks.

    As an observer it notes which customers' orders were written by a call; when nobody knows whether and whose, all
    read from the primary until the replica has caught up with that moment. Events of other services are not noted: who
    did not write may read what was true up to `max_age_s` ago.
    """

    def __init__(
        self,
        primary: asyncpg.Pool,
        replica: asyncpg.Pool,
        max_age_s: float,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._primary_pool, self._replica_pool = primary, replica
        self._primary, self._replica = PostgresReads(primary), PostgresReads(replica)
        self._max_age_s = max_age_s
        self._clock = clock
        self._log = log
        #: The replica has all that was committed before then, monotonic seconds.
        self.current_s = float("-inf")
        #: By shard point: when somebody last wrote, or read from the primary.
        self._seen_s = [float("-inf")] * POINTS
        #: When anybody may have written last without our knowing whose order.
        self._unknown_write_s = float("-inf")

    async def run(self) -> None:
        """Measure how old the replica is, until cancelled."""
        await every(EVERY_S, self._measure, self._not_measured)

    def _not_measured(self, error: BaseException, pause_s: float) -> None:
        self._log.warning("replica not measured", error=str(error), pause_s=pause_s)
        self._set_age()

    async def get(self, order_id: OrderId) -> Order | None:
        order = await self._read(point_of_order(order_id), lambda reads: reads.get(order_id))
        # One that another process has just placed may not have come here yet: only the primary says that it is nowhere.
        return order or await self._primary.get(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        return await self._read(point_of_user(user_id), lambda reads: reads.page(user_id, before, limit))

    async def placed(self, order: Order) -> None:
        self._note(point_of_user(order.user_id))

    async def changed(self, order: Order) -> None:
        self._note(point_of_order(order.order_id))

    def outcome_unknown(self) -> None:
        self._unknown_write_s = self._clock.monotonic_s()

    async def _measure(self) -> None:
        asked_s = self._clock.monotonic_s()
        async with session(self._primary_pool) as primary:
            on_disk = await primary.fetchval(SQL.on_disk)
        while not await self._replayed(on_disk):
            self._set_age()
            await asyncio.sleep(LOOK_S)
        self.current_s = asked_s
        self._set_age()

    async def _replayed(self, on_disk: str) -> bool:
        async with session(self._replica_pool) as replica:
            replayed: bool = await replica.fetchval(SQL.replayed, on_disk)
        return replayed

    def _set_age(self) -> None:
        REPLICA_AGE_S.set(min(self._clock.monotonic_s() - self.current_s, 1e6))

    async def _read(self, point: int, read: Callable[[PostgresReads], Coroutine[Any, Any, T]]) -> T:
        if self._may_read_replica(point):
            try:
                found = await read(self._replica)
            except (Retryable, SchemaMissing) as error:  # a migration may not have been replayed yet
                self._log.warning("replica did not answer", error=str(error))
                self.current_s = float("-inf")
            else:
                REPLICA_READS.labels("replica").inc()
                return found
        REPLICA_READS.labels("primary").inc()
        found = await read(self._primary)
        self._note(point)
        return found

    def _may_read_replica(self, point: int) -> bool:
        recent = self._clock.monotonic_s() - self.current_s <= self._max_age_s
        return recent and self.current_s > max(self._seen_s[point], self._unknown_write_s)

    def _note(self, point: int) -> None:
        self._seen_s[point] = self._clock.monotonic_s()
