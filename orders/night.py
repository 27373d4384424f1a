"""What is done once a night, in a process of its own: old months go to the archive."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from node.clock import Clock

#: The hour, UTC, at which it is done: night in Chile, early morning in Europe.
HOUR = 4
_LOOK_S = 600.0


@dataclass(frozen=True, slots=True)
class NightlyArchive:
    """Runs `forno orders archive` each night. Sorting and packing a month would hold up the orders of this process."""

    clock: Clock
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        done_on = None
        while True:
            now = datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC)
            if now.hour == HOUR and done_on != now.date():
                done_on = now.date()
                await self._archive()
            await asyncio.sleep(_LOOK_S)

    async def _archive(self) -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "node.cli", "orders", "archive")
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.kill()  # the next run goes on
            raise
        self.log.info("archived for the night" if code == 0 else "the archive failed", code=code)
