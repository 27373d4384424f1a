"""Do the hourly work on the database of payments: delete sent messages and old webhooks."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from node.retry import every, warned
from orders.payments.adapters.postgres import PostgresPayments

EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class PaymentUpkeep:
    """Does the hourly work."""

    payments: PostgresPayments
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        await every(EVERY_S, self.payments.forget, warned(self.log, "upkeep put off"), first_s=EVERY_S)
