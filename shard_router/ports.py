"""Ports of the router: the store of the map and of the leases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from shard_router.topology import CityEntry, CityMap, Move, ShardLoad


class MapStore(Protocol):
    """The map as anybody may read it.

    Any call of any store here may raise `node.errors.Retryable` when it is away; the caller retries. Every call is
    atomic; all times are the store's own clock.
    """

    async def read_map(self) -> CityMap:
        """The map now."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Names of cities whose entry changed, as it happens; may lose some while the store is away, so poll too."""


class RouterStore(MapStore, Protocol):
    """The map and the leases."""

    async def ensure_cities(self, cities: Sequence[CityEntry]) -> None:
        """Adds the cities that are missing and updates names, zones and centres. Idempotent; owners stay."""

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        """Takes the shard's row for this run. Raises `ShardTaken` while another run still beats."""

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        """Renews the lease, stores the load, and reads the map. Raises `ShardTaken` when another run took the row."""

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """Compare-and-set of a city that nobody alive owns. The new epoch, or None. Ends the city's move."""

    async def release(self, city: str, shard_id: str, epoch: int, idle_s: float | None = None) -> None:
        """Lets go of a city whose last commit is `idle_s` old, None if that is not known: a move has no gap then.

        Idempotent; nothing when another one owns it by now.
        """

    async def request_move(self, city: str, to_shard: str, actor: str) -> CityEntry:
        """Records that the city should move; again for the same target, it changes nothing.

        Raises `UnknownCity` or `MoveRefused`.
        """

    async def warm(self, city: str, shard_id: str, move_id: int) -> None:
        """The target's shadow is warm: the owner may hand over. Nothing when the move is over by now."""

    async def fail_move(self, move_id: int, reason: str, actor: str) -> bool:
        """Ends a move that will not be; the owner goes on. False when it is over, or released to a living target."""

    async def first_tick(self, city: str, shard_id: str, epoch: int) -> None:
        """The new owner's first tick could commit just now: notes it in the move. Idempotent."""

    async def moves(self, limit: int) -> Sequence[Move]:
        """The last moves, newest first."""
