"""Do the hourly work on the database of payments: delete sent messages and old webhooks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from node.errors import Retryable
from orders.payments.adapters.postgres import PostgresPayments

EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Does the hourly work."""

    payments: PostgresPayments
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.payments.forget()
            except Retryable as error:
                self.log.warning("upkeep put off", error=str(error))
