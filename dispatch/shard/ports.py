"""Ports of a running city.

Everything written carries the owner's epoch; readers of views and publishes drop lower ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import Digests
from dispatch.engine.model import Cooldown, Offer, Order, OrderId, Rider
from dispatch.engine.params import EngineParams
from dispatch.engine.records import DecisionRecord
from dispatch.engine.state import Changes
from dispatch.engine.tracks import Track, TrackChanges
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.shard.holdings import Holding, HoldingChanges
from proto.fix_columns import FixColumns
from shard_router.topology import Ownership


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The memory of a city before a tick, packed (`dispatch.engine.snapshot`); events below the offset are in it."""

    events_offset: int
    body: bytes


@dataclass(frozen=True, slots=True)
class TickCommit:
    """Changes and records that one tick commits in one transaction.

    `quiet` are the bases of the ticks since the last commit. `ignored` are orders whose openings were left out since
    then: only the database still knew them. `passed_over` are offsets of events that were set aside since then.
    """

    ownership: Ownership
    tick: int
    basis: TickBasis
    applied: AppliedRange
    params: EngineParams
    strategy: str
    solver_status: str
    solver_work: int
    solver_cost: float
    digests: Digests
    quiet: tuple[TickBasis, ...]
    ignored: tuple[OrderId, ...]
    passed_over: tuple[int, ...]
    checkpoint: Checkpoint | None
    duration_ms: float
    changes: Changes
    holdings: HoldingChanges
    records: tuple[DecisionRecord, ...]
    tracks: TrackChanges


@dataclass(frozen=True, slots=True)
class StoredCity:
    """Stored state that a new owner starts from. `cut` is None for a city that was never run."""

    tick: int
    cut: Cut | None
    entities: tuple[Order | Rider | Offer | Cooldown, ...]
    tracks: tuple[Track, ...]
    holdings: tuple[Holding, ...]


@dataclass(frozen=True, slots=True)
class CommittedChanges:
    """Changes committed after a tick: orders, riders and offers as they are now, ended ones among them.

    Cooldowns, holdings and the ids of offers are all that are live.
    """

    tick: int
    cut: Cut | None
    entities: tuple[Order | Rider | Offer | Cooldown, ...]
    offer_ids: frozenset[str]
    tracks: tuple[Track, ...]
    holdings: tuple[Holding, ...]


class DecisionLog(Protocol):
    """Store of decisions. Every write checks the ownership first and raises `OwnershipLost` when it is gone.

    Any call may raise `Retryable`: then nothing was written.
    """

    async def load(self, ownership: Ownership, ended_since_ms: int) -> StoredCity:
        """Last tick, cut, and all entities; orders that ended before `ended_since_ms` are left out."""

    async def changed(self, city: str, after_tick: int, ended_since_ms: int) -> CommittedChanges:
        """Changes committed after a tick, as of one moment; for those who follow a city without owning it."""

    async def commit(self, tick: TickCommit) -> None:
        """One transaction. Raises `OutcomeUnknown` when the connection was lost, `DoubleAssignment` by an index."""

    async def committed(self, city: str, tick: int, epoch: int) -> bool:
        """Whether that tick was committed in that epoch; the answer to an unknown outcome."""

    async def save_cut(self, ownership: Ownership, tick: int, applied: AppliedRange) -> None:
        """Stores how far the city is, between ticks; nothing when a later cut is stored already."""

    async def known(self, order_ids: Sequence[OrderId]) -> set[OrderId]:
        """Find which of the orders were ever opened."""

    async def track(self, city: str, order_id: OrderId) -> tuple[Order, Track] | None:
        """An order and its track, ended long ago or not."""

    async def explain(self, city: str, order_id: OrderId) -> list[str]:
        """Decision records of an order as JSON documents, oldest first."""


class RecordPruner(Protocol):
    """Deletes records that ended long ago."""

    async def prune(self, city: str, keep_h: int, most: int) -> int:
        """Removes a piece of what ended over `keep_h` wall hours ago, or of what the outbox sent over a day ago: at
        most so many rows of one table. How many; 0 when nothing is left. May raise `Retryable`.
        """


@dataclass(frozen=True, slots=True)
class LivePosition:
    """A rider of an active order, for its customer's screen."""

    order_id: str
    rider_id: int
    lat_e7: int
    lng_e7: int
    ts_ms: int
    session: int
    seq: int
    heading_cdeg: int
    eta_ms: int
    picked_up: bool


class Announcements(Protocol):
    """Redis channels. Losing a message costs a second, never correctness. May raise `Retryable`."""

    async def positions(self, city: str, epoch: int, positions: Sequence[LivePosition]) -> None:
        """Publishes on live:<city>."""

    async def wake(self, city: str, epoch: int, order_ids: Sequence[str], rider_ids: Sequence[int]) -> None:
        """Publishes on wake:<city>."""


class PositionsView(Protocol):
    """A store of last positions that others read: at most as new as it says, rebuilt from the log at any time."""

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        """Sets last positions, unless a higher epoch has written. May raise `Retryable`: some may have been set.

        False when the store knew nothing of the city before, be it that nobody wrote or that all was lost; a store that
        keeps what it has over a restart may always say True. No fixes at all are a question about just that.
        """

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        """Removes riders that went silent. May raise `Retryable`."""

    async def riders(self, city: str) -> list[int]:
        """Riders in it, whoever wrote them. May raise `Retryable`."""
