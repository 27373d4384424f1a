"""Find orders whose saga is stuck, and set them going again.

An order waits for others: for payments while it is placed or delivered, for dispatch from accepted to delivered. When
the answer does not come in time, the order's events are sent once more: whoever missed them hears them now, whoever
heard them drops them, and payments answers a repeated request by repeating its answer. If that does not help it is done
again after twice as long, and so on: orders that are stuck because somebody is away for hours shall not flood the log.

Some are given up in the end. An order that was never paid for: nobody wants it any more, and if the money comes after
all, it is voided. An order that dispatch has said nothing of for hours: dispatch gives orders up by itself (after 5,400
s that nobody takes, after 3,600 s food is written off), so its word was lost; the order fails and the money goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from node.clock import Clock
from node.retry import every, warned
from orders.model import Order, OrderId, Status
from orders.ordering.events import Change
from orders.ordering.metrics import GIVEN_UP, RESUMED, STUCK
from orders.ordering.ports import OrderDecisions, StuckOrders
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger

#: Wall seconds in a status, without any news, after which an order counts as stuck. Riding takes as long as it takes:
#: longer than dispatch itself goes on is too long.
STUCK_AFTER_S: Mapping[Status, float] = {
    Status.PLACED: 30.0,
    Status.DELIVERED: 30.0,
    Status.ACCEPTED: 600.0,
    Status.ASSIGNED: 9_000.0,
    Status.PICKED_UP: 7_200.0,
}
#: Statuses whose events are sent once more. Later on dispatch knows of the order: there is nothing to send it.
SENT_AGAIN = (Status.PLACED, Status.DELIVERED, Status.ACCEPTED)


@dataclass(frozen=True, slots=True)
class End:
    """Rule for giving up orders of a status: after so many wall seconds, by this trigger, for this reason."""

    after_s: float
    trigger: Trigger
    reason: str


_LOST = End(6 * 3600.0, Trigger.FAIL, "dispatch_timeout")
GIVEN_UP_BY: Mapping[Status, End] = {
    Status.PLACED: End(900.0, Trigger.CANCEL, "payment_timeout"),
    Status.ACCEPTED: _LOST,
    Status.ASSIGNED: _LOST,
    Status.PICKED_UP: _LOST,
}
EVERY_S = 15.0
#: Dealt with in one round, of each status; those that wait for longest first.
LIMIT = 5_000


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks for stuck orders of one database, every `EVERY_S`."""

    database: str
    decisions: OrderDecisions
    stuck: StuckOrders
    clock: Clock
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Sweep until cancelled."""
        await every(EVERY_S, self.sweep, warned(self.log, "sweep put off", database=self.database), first_s=EVERY_S)

    async def sweep(self) -> None:
        """Do one round: give up what has waited for too long, send again what is stuck."""
        for status, end in GIVEN_UP_BY.items():
            for order_id in await self.stuck.stuck(status, end.after_s, LIMIT):
                await self._give_up(order_id, status, end)
        for status, after_s in STUCK_AFTER_S.items():
            stuck = await self.stuck.count_stuck(status, after_s)
            STUCK.labels(self.database, status).set(stuck)
            if stuck:
                sent = await self._send_again(status, after_s)
                self.log.warning(
                    "orders are stuck", database=self.database, status=status, orders=stuck, sent_again=sent
                )

    async def _send_again(self, status: Status, after_s: float) -> int:
        if status not in SENT_AGAIN:
            return 0
        sent = await self.stuck.send_again(status, after_s, LIMIT)
        RESUMED.labels(status).inc(sent)
        return sent

    async def _give_up(self, order_id: OrderId, status: Status, end: End) -> None:
        timeout = Signal(end.trigger, self.clock.domain_ms(), reason=end.reason)

        def decide(order: Order) -> Change:
            # The answer may have come in this moment.
            return step(order, timeout) if order.status is status else Change(order)

        order = await self.decisions.change(order_id, decide)
        if order is not None and order.history[-1].reason == end.reason:
            GIVEN_UP.labels(status).inc()
