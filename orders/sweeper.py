"""Finds sagas that got stuck and sets them going again.

An order waits for others: for payments while it is placed or delivered, for dispatch while it is accepted. When the
answer does not come in time, the order's events are sent once more: whoever missed them hears them now, whoever heard
them drops them, and payments answers a repeated request by repeating its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from node.errors import Retryable
from orders.metrics import RESUMED, STUCK
from orders.model import Status
from orders.ports import OrderStore

#: Wall seconds in a status after which an order counts as stuck. Cooking and riding take as long as they take; the open
#: order is told again now and then only.
STUCK_AFTER_S: Mapping[Status, float] = {
    Status.PLACED: 30.0,
    Status.DELIVERED: 30.0,
    Status.ACCEPTED: 600.0,
}
EVERY_S = 15.0
LIMIT = 500


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks for stuck orders now and then."""

    store: OrderStore
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.sweep()
            except Retryable as error:
                self.log.warning("sweep put off", error=str(error))

    async def sweep(self) -> None:
        """One round."""
        for status, after_s in STUCK_AFTER_S.items():
            stuck = await self.store.stuck(status, after_s, LIMIT)
            STUCK.labels(status).set(len(stuck))
            if stuck:
                self.log.warning("stuck orders told again", status=status, orders=len(stuck), first=stuck[0])
                await self.store.tell_again(stuck)
                RESUMED.labels(status).inc(len(stuck))
