"""Finds sagas that got stuck and sets them going again.

An order waits for others: for payments while it is placed or delivered, for dispatch while it is accepted. When the
answer does not come in time, the order's events are sent once more: whoever missed them hears them now, whoever heard
them drops them, and payments answers a repeated request by repeating its answer. If that does not help it is done again
after twice as long, and so on: orders that are stuck because somebody is away for hours shall not flood the log. An
order that was never paid for is given up after a while: nobody wants it any more, and if the money comes after all, it
is voided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.errors import Retryable
from orders.errors import TransitionRefused
from orders.metrics import GIVEN_UP, RESUMED, STUCK
from orders.model import OrderId, Status
from orders.ports import OrderStore
from orders.saga import Signal, step
from orders.transitions import Trigger

#: Wall seconds in a status after which an order counts as stuck. Cooking and riding take as long as they take; the open
#: order is told again now and then only.
STUCK_AFTER_S: Mapping[Status, float] = {
    Status.PLACED: 30.0,
    Status.DELIVERED: 30.0,
    Status.ACCEPTED: 600.0,
}
GIVE_UP_PLACED_AFTER_S = 900.0
EVERY_S = 15.0
#: Looked at in one round, of each status and database; those that wait for longest first.
LIMIT = 5_000


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks for stuck orders now and then."""

    store: OrderStore
    clock: Clock
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
        for order_id in await self.store.stuck(Status.PLACED, GIVE_UP_PLACED_AFTER_S, LIMIT):
            await self._give_up(order_id)
        for status, after_s in STUCK_AFTER_S.items():
            stuck = await self.store.stuck(status, after_s, LIMIT)
            STUCK.labels(status).set(len(stuck))
            if stuck:
                told = await self.store.tell_again(stuck, after_s)
                RESUMED.labels(status).inc(told)
                self.log.warning("orders are stuck", status=status, orders=len(stuck), told=told, first=stuck[0])

    async def _give_up(self, order_id: OrderId) -> None:
        timeout = Signal(Trigger.CANCEL, self.clock.domain_ms(), reason="payment_timeout")
        with suppress(TransitionRefused):  # the answer has come in this moment
            await self.store.change(order_id, lambda order: step(order, timeout))
            GIVEN_UP.inc()
