"""Port of a shard's lease: starts, stops and follows cities."""

from __future__ import annotations

import asyncio
from typing import Protocol

from shard_router.topology import Ownership, ShardLoad


class CityHost(Protocol):
    """The part of a shard that runs cities. One that keeps nothing in memory need only `take` and `drop`.

    For one city only one call is under way at a time, but `first_tick` and `failure`. `take` and `shadow` may be
    cancelled; `settle`, `drop` and `unshadow` never are.
    """

    def load(self) -> ShardLoad:
        """Load that the next heartbeat reports."""
        return ShardLoad()

    async def take(self, ownership: Ownership) -> None:
        """Begins to run a city. When it raises, whatever it raises, or is cancelled, nothing of the city runs.

        Raises `Retryable` when it cannot yet: the city is then released and claimed anew; after any other error others
        may claim it for `SHUN_S` before this shard tries again.
        """

    async def failure(self, city: str, epoch: int) -> None:
        """Returns when a part of a running city has failed; the city is then dropped and taken again."""
        await asyncio.Event().wait()

    async def first_tick(self, city: str, epoch: int) -> None:
        """Returns once a tick of a city that was taken could commit."""
        return

    async def settle(self, city: str, epoch: int) -> float:
        """Finishes the tick under way, begins no other, stores the final cut. Seconds since the last tick."""
        return 0.0

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Ends to run a city after the tick under way; returns when nothing of it runs any more. Idempotent."""

    async def shadow(self, ownership: Ownership) -> None:
        """Follows a city that another shard runs, so that `take` is quick; returns once it is warm, and follows on.

        Raises `Retryable` when it cannot just now, anything else when it never will; nothing is followed then.
        """
        return

    async def unshadow(self, city: str) -> None:
        """Follows a city no longer. Idempotent."""
        return
