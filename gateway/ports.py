"""Port of the HTTP API: limits of calls."""

from __future__ import annotations

from typing import Protocol


class Limits(Protocol):
    """Limits on how often a caller may call. One bucket a key, shared by all gateway processes.

    Never raises and never waits long: when the store is away everyone passes (counted), because turning every
    customer away is worse than letting a few through too often.
    """

    async def take(self, key: str) -> float:
        """Takes one request from the bucket of `key`: 0.0 when there was room, else the wall seconds to wait."""
