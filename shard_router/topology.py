"""The map of cities and shards as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: What a city costs its shard, counted in riders: an open order costs a tick about what ten riders do, and a city that
#: sleeps still has its logs read and its views kept.
ORDER_RIDERS = 10
SLEEPING_RIDERS = 20


@dataclass(frozen=True, slots=True)
class CityLoad:
    """Load of a city, by its owner's last heartbeat."""

    riders: int = 0
    open_orders: int = 0
    tick_p99_ms: float = 0.0

    @property
    def burden(self) -> int:
        """The whole of it as one number, in riders."""
        return SLEEPING_RIDERS + self.riders + ORDER_RIDERS * self.open_orders


@dataclass(frozen=True, slots=True)
class Ownership:
    """A city that a shard owns, and in which epoch."""

    city: str
    partition: int
    epoch: int


class MoveState(StrEnum):
    """State of a move. The first three are under way."""

    SHADOWING = "shadowing"
    WARM = "warm"
    RELEASED = "released"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Move:
    """A city on its way to another shard, or a move of the past. Times are milliseconds on the store's clock.

    `gap_ms` is from the last commit of the old owner to the first tick that could commit at the new one.
    """

    move_id: int
    city: str
    from_shard: str | None
    to_shard: str
    epoch: int
    actor: str
    state: MoveState
    asked_ms: int
    reason: str = ""
    warm_ms: int | None = None
    released_ms: int | None = None
    ended_ms: int | None = None
    gap_ms: float | None = None

    @property
    def under_way(self) -> bool:
        """Whether it has neither come to its end nor failed."""
        return self.state not in (MoveState.DONE, MoveState.FAILED)


@dataclass(frozen=True, slots=True)
class CityEntry:
    """A city as the map knows it. Position in 1e-7 degrees."""

    city: str
    name: str
    partition: int
    time_zone: str
    currency: str
    center_lat_e7: int
    center_lng_e7: int
    owner: str | None = None
    epoch: int = 0
    moving_to: str | None = None
    #: host:port of the owner's gRPC; empty while nobody owns it.
    address: str = ""
    load: CityLoad = field(default_factory=CityLoad)
    #: The move under way.
    move: Move | None = None
    #: Messages that the target's shadow is behind the log, as it last said.
    behind: int | None = None


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """Load of a shard, by its last heartbeat; `refused` counts commits that the fence refused it."""

    riders: int = 0
    open_orders: int = 0
    tick_p99_ms: float = 0.0
    refused: int = 0
    cities: Mapping[str, CityLoad] = field(default_factory=dict)
    #: Messages behind the log, by city it follows as a shadow.
    shadows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A shard as the map knows it; `alive` by the store's clock. A draining one gets no cities."""

    shard_id: str
    address: str
    alive: bool
    heartbeat_age_ms: int
    load: ShardLoad = field(default_factory=ShardLoad)
    draining: bool = False
    #: How long its lease has lived without a break. A map read over gRPC does not say; then it is taken for long.
    up_ms: int = 86_400_000
    #: How long ago it was first on the map; as `up_ms`.
    known_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class CityMap:
    """Cities and shards at one moment. `version` numbers the newest change of a city in it.

    Two changes made at once may be numbered in another order than they come true, so what was read later never has a
    smaller version, but maps of one version need not be the same.
    """

    version: int
    cities: Mapping[str, CityEntry]
    shards: Mapping[str, ShardEntry]

    def alive(self, shard_id: str | None) -> bool:
        """Whether the shard has a living lease."""
        return shard_id is not None and shard_id in self.shards and self.shards[shard_id].alive

    def open_shards(self) -> list[str]:
        """Living shards that may get cities."""
        return [shard.shard_id for shard in self.shards.values() if shard.alive and not shard.draining]

    def orphans(self) -> list[CityEntry]:
        """Cities that no living shard owns."""
        return [city for city in self.cities.values() if not self.alive(city.owner)]

    def owned_by(self, shard_id: str) -> list[CityEntry]:
        """Cities of a shard, by name."""
        return sorted((c for c in self.cities.values() if c.owner == shard_id), key=lambda c: c.city)
