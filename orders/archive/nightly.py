"""Archive old months once a night, in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
import structlog

from node.clock import Clock
from orders.archive.metrics import ARCHIVE_FAILED, ARCHIVE_PUT_OFF, ARCHIVED

#: The hour, UTC, at which it is done: night in Chile, early morning in Europe.
HOUR = 4
_LOOK_S = 600.0
COMMAND = (sys.executable, "-m", "node.cli", "orders", "archive", "--json")


@dataclass(frozen=True, slots=True)
class NightlyArchive:
    """Runs `forno orders archive` each night. Sorting and packing a month would hold up the orders of this process."""

    clock: Clock
    log: structlog.stdlib.BoundLogger
    command: Sequence[str] = COMMAND

    async def run(self) -> None:
        """Works until cancelled. A night that failed is tried again every ten minutes of its hour."""
        done_on = None
        while True:
            now = datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC)
            if now.hour == HOUR and done_on != now.date() and await self.once():
                done_on = now.date()
            await asyncio.sleep(_LOOK_S)

    async def once(self) -> bool:
        """Archives what is due, and counts what the process says of it; whether all went well."""
        process = await asyncio.create_subprocess_exec(*self.command, stdout=asyncio.subprocess.PIPE)
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()  # the next run goes on
            raise
        if process.returncode != 0:
            ARCHIVE_FAILED.inc()
            self.log.error("the archive failed", code=process.returncode)
            return False
        told = orjson.loads(output)
        ARCHIVED.inc(sum(month["rows"] for month in told["months"]))
        for one in told["put_off"]:
            ARCHIVE_PUT_OFF.labels(one["why"]).inc()
        self.log.info("archived for the night", months=len(told["months"]), put_off=len(told["put_off"]))
        return True
