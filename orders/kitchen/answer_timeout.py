"""Reject orders whose kitchen does not answer in time; their customers pay nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.retry import every, warned
from orders.kitchen.metrics import KITCHENS_SILENT
from orders.model import OrderId, Status
from orders.ordering.errors import TransitionRefused
from orders.ordering.ports import OrderDecisions, StuckOrders
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger

EVERY_S = 5.0
#: Orders rejected in one round, those that wait for longest first.
LIMIT = 500


@dataclass(frozen=True, slots=True)
class AnswerTimeout:
    """Looks for orders of one database that wait for their kitchen for longer than `timeout_s`, wall seconds."""

    decisions: OrderDecisions
    stuck: StuckOrders
    timeout_s: float
    clock: Clock
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Reject orders until cancelled."""
        failed = warned(self.log, "silent kitchens not looked for")
        await every(EVERY_S, self.reject_unanswered, failed, first_s=EVERY_S)

    async def reject_unanswered(self) -> None:
        """Do one round."""
        for order_id in await self.stuck.stuck(Status.AUTHORISED, self.timeout_s, LIMIT):
            await self._reject(order_id)

    async def _reject(self, order_id: OrderId) -> None:
        silent = Signal(Trigger.REJECT, self.clock.domain_ms(), reason="kitchen_timeout")
        with suppress(TransitionRefused):  # the kitchen has answered in this moment
            await self.decisions.change(order_id, lambda order: step(order, silent))
            KITCHENS_SILENT.inc()
