"""The relay: takes committed messages from an outbox to Kafka, each order's in the order they were written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from node.retry import QUICK, warned
from orders.messaging.message import Message

#: Orders claimed at once.
CLAIM = 256
#: The outbox is looked at this often even if nobody woke the relay (another process may have written), wall seconds.
POLL_S = 0.5
#: Between two looks that found something: under load messages leave in batches.
LINGER_S = 0.02

#: Sends messages; returns those that will never be taken, by their index, and why. Raises `Retryable`.
Send = Callable[[Sequence[Message]], Awaitable[Mapping[int, str]]]


class Outbox(Protocol):
    """Messages that were committed and are to be sent, at least once."""

    async def relay(self, limit: int, send: Send) -> int:
        """Claims up to `limit` whole orders that nobody else holds, sends all their messages in the order they were
        written, marks them sent, sets those aside that will never be taken; returns how many messages. When `send`
        raises nothing is marked: all are sent again.
        """


class Relay:
    """Moves messages until it is cancelled; `wake` makes it look at once."""

    def __init__(self, send: Send, log: structlog.stdlib.BoundLogger) -> None:
        self._send = send
        self._log = log
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was written."""
        self._woken.set()

    async def run(self, outbox: Outbox) -> None:
        """Relays until cancelled; while the database or the broker is away it waits and tries again."""

        async def relay_all() -> None:
            self._woken.clear()
            while await outbox.relay(CLAIM, self._send):  # noqa: ASYNC110
                await asyncio.sleep(LINGER_S)

        while True:
            await QUICK.until_done(relay_all, warned(self._log, "relay paused"))
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._woken.wait()
