"""What the router needs of its store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from shard_router.topology import CityEntry, CityMap, ShardLoad


class RouterStore(Protocol):
    """The map and the leases. Every call is atomic; all times are the store's own clock.

    Any call may raise `node.errors.Retryable` when the store is away; the caller retries.
    """

    async def ensure_cities(self, cities: Sequence[CityEntry]) -> None:
        """Adds the cities that are missing and updates names, zones and centres. Idempotent; owners stay."""

    async def read_map(self) -> CityMap:
        """The map now."""

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        """Takes the shard's row for this run. Raises `ShardTaken` while another run still beats."""

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        """Renews the lease, stores the load, and reads the map. Raises `ShardTaken` when another run took the row."""

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """Compare-and-set of a city that nobody alive owns. The new epoch, or None."""

    async def release(self, city: str, shard_id: str, epoch: int) -> None:
        """Lets go of a city. Idempotent; nothing when another one owns it by now."""

    async def request_move(self, city: str, to_shard: str, actor: str) -> CityEntry:
        """Records that the city should move. Raises `UnknownCity` or `MoveRefused`."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of cities whose entry changed, as it happens; may lose some while the store is away, so poll too."""
