"""What nobody asks for any more leaves the database, a bounded piece at a time."""

from __future__ import annotations

import asyncio

import structlog

from dispatch.live.ports import Archive
from node.errors import Retryable

#: Ticks, decisions, ended offers, holdings, orders and published letters are kept this long, wall hours: longer than
#: the 24 that the outbox may have to publish again.
KEEP_H = 72
EVERY_S = 600.0


async def keep_house(city: str, archive: Archive, log: structlog.stdlib.BoundLogger) -> None:
    """Prunes a city now and then until cancelled. Failing does no harm: the next round takes more."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            removed = await archive.prune(city, KEEP_H)
        except Retryable as error:
            log.warning("not pruned", error=str(error))
        else:
            log.info("pruned", rows=removed)
