"""Relay: take committed messages from an outbox to Kafka, those of one key in the order they were written."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from node.outbox.message import Outbox, Publisher
from node.retry import QUICK, warned

#: Keys (of a city: messages) claimed at once; bounds what is in memory.
CLAIM = 256
#: The outbox is looked at this often even if nobody woke the relay (another process may have written), wall seconds.
POLL_S = 1.0
#: Between two looks that found something: under load messages leave in batches.
LINGER_S = 0.02


class Relay:
    """Sends the messages of an outbox until it is cancelled; `wake` makes it look at once."""

    def __init__(self, outbox: Outbox, publisher: Publisher, log: structlog.stdlib.BoundLogger) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._log = log
        self._incarnation = ""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox soon: something was written."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled; while the database or the broker is away, wait and try again."""
        while True:
            await QUICK.until_done(self.send_all, warned(self._log, "relay paused"))
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()

    async def send_all(self) -> None:
        """Send what waits. Raises `Retryable`; nothing is skipped then."""
        self._woken.clear()
        await self._note_log()
        while await self._outbox.relay(CLAIM, self._publisher.send):
            await asyncio.sleep(LINGER_S)
            await self._note_log()

    async def _note_log(self) -> None:
        incarnation = await self._publisher.incarnation()
        if incarnation == self._incarnation:
            return
        again = await self._outbox.log_is(incarnation)
        self._incarnation = incarnation
        if again:
            self._log.warning("the log was replaced: sending messages of the last day again", count=again)
