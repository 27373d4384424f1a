"""Delete rows that are no longer needed, a bounded piece at a time."""

from __future__ import annotations

import asyncio

import structlog

from dispatch.shard.ports import RecordPruner
from node.retry import every, warned

#: Ticks, decisions, ended offers, holdings and orders are kept this long, wall hours: longer than the 24 for which the
#: outbox keeps what it sent.
KEEP_H = 72
EVERY_S = 600.0
#: Rows that one transaction removes, the wall seconds between two of them, and how many a round has.
PIECE, PAUSE_S, PIECES = 2_000, 0.2, 1_000


async def run_housekeeping(city: str, pruner: RecordPruner, log: structlog.stdlib.BoundLogger) -> None:
    """Prunes a city now and then until cancelled. Failing does no harm: the next round takes more."""

    async def prune_city() -> None:
        log.info("pruned", rows=await prune(city, pruner))

    await every(EVERY_S, prune_city, warned(log, "not pruned"), first_s=EVERY_S)


async def prune(city: str, pruner: RecordPruner, pause_s: float = PAUSE_S) -> int:
    """One round: piece after piece, with rests between them, until nothing is left or the round is over."""
    removed = 0
    for _ in range(PIECES):
        piece = await pruner.prune(city, KEEP_H, PIECE)
        removed += piece
        if not piece:
            break
        await asyncio.sleep(pause_s)
    return removed
