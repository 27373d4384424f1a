"""What the database of payments needs now and then: told messages and heard webhooks forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from node.errors import Retryable
from orders.payments.adapters.postgres import PostgresPayments

EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Does it each hour."""

    book: PostgresPayments
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.book.forget()
            except Retryable as error:
                self.log.warning("upkeep put off", error=str(error))
