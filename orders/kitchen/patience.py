"""A kitchen that never answers: after a while the order is rejected in its name, and the customer pays nothing."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.errors import Retryable
from orders.metrics import KITCHENS_SILENT
from orders.model import OrderId, Status
from orders.ordering.errors import TransitionRefused
from orders.ordering.ports import OrderDecisions, StuckOrders
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger

EVERY_S = 5.0
LIMIT = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """Looks for orders that wait for their kitchen for longer than `patience_s`, wall seconds."""

    decisions: OrderDecisions
    stuck: StuckOrders
    patience_s: float
    clock: Clock
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.look()
            except Retryable as error:
                self.log.warning("silent kitchens not looked for", error=str(error))

    async def look(self) -> None:
        """One round."""
        for order_id in await self.stuck.stuck(Status.AUTHORISED, self.patience_s, LIMIT):
            await self._reject(order_id)

    async def _reject(self, order_id: OrderId) -> None:
        silent = Signal(Trigger.REJECT, self.clock.domain_ms(), reason="kitchen_timeout")
        with suppress(TransitionRefused):  # the kitchen has answered in this moment
            await self.decisions.change(order_id, lambda order: step(order, silent))
            KITCHENS_SILENT.inc()
