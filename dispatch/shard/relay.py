"""The outbox of a city to the topic dispatch.events: in order, at least once, for as long as it takes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from dispatch.metrics import CityMetrics
from dispatch.shard.ports import Outbox, ResultTopic
from node.retry import QUICK, warned

#: Letters published together; at most so many are in memory.
BATCH = 500
#: The outbox is looked at this often even when no tick said so, and the log's incarnation as well.
LOOK_EVERY_S = 1.0


class Relay:
    """Publishes one city's results. A second relay of the same city (a former owner's last) does no harm."""

    def __init__(
        self, city: str, outbox: Outbox, topic: ResultTopic, metrics: CityMetrics, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._city = city
        self._outbox = outbox
        self._topic = topic
        self._metrics = metrics
        self._log = log
        self._incarnation = ""
        #: Set by the ticker after a commit.
        self.letters = asyncio.Event()

    async def run(self) -> None:
        """Publishes until cancelled; waits with backoff for a broker or a database that is away."""
        while True:
            await QUICK.until_done(self.publish_all, warned(self._log, "results wait"))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.letters.wait()
            self.letters.clear()

    async def publish_all(self) -> None:
        """Publishes what waits. Raises `Retryable`; nothing is skipped then."""
        incarnation = await self._topic.incarnation()
        if incarnation != self._incarnation:
            again = await self._outbox.log_is(self._city, incarnation)
            self._incarnation = incarnation
            if again:
                self._log.warning("the log was replaced: publishing results of the last day again", count=again)
        while letters := await self._outbox.waiting(self._city, BATCH):
            refused = await self._topic.publish(letters)
            await self._outbox.published(letters, refused)
            self._metrics.published.inc(len(letters))
