"""What the databases of orders need now and then: partitions made ahead, sent messages and old keys forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from node.errors import Retryable
from orders.adapters.postgres import PostgresOrders
from orders.adapters.recent_index import RecentIndex

EVERY_S = 3600.0
KEEP_KEYS_DAYS = 30


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Does it each hour."""

    stores: Sequence[PostgresOrders]
    recent: Sequence[RecentIndex]
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once()
            except Retryable as error:
                self.log.warning("upkeep put off", error=str(error))

    async def once(self) -> None:
        """One round."""
        for store in self.stores:
            await store.make_partitions()
            await store.outbox.forget_sent()
            await store.forget_told()
            await store.forget_keys(KEEP_KEYS_DAYS)
        for index in self.recent:
            await index.renew()
