"""The map of cities and shards as values, and who should own what. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """What a shard says of itself with each heartbeat."""

    riders: int = 0
    open_orders: int = 0
    tick_p99_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """A shard as the map knows it; `alive` by the store's clock."""

    shard_id: str
    address: str
    alive: bool
    heartbeat_age_ms: int
    load: ShardLoad = field(default_factory=ShardLoad)


@dataclass(frozen=True, slots=True)
class CityMap:
    """Everything at one moment. `version` grows with each change of a city."""

    version: int
    cities: Mapping[str, CityEntry]
    shards: Mapping[str, ShardEntry]

    def alive(self, shard_id: str | None) -> bool:
        """Whether the shard has a living lease."""
        return shard_id is not None and shard_id in self.shards and self.shards[shard_id].alive

    def orphans(self) -> list[CityEntry]:
        """Cities that no living shard owns."""
        return [city for city in self.cities.values() if not self.alive(city.owner)]

    def owned_by(self, shard_id: str) -> list[CityEntry]:
        """Cities of a shard, by name."""
        return sorted((c for c in self.cities.values() if c.owner == shard_id), key=lambda c: c.city)


def score(city: str, shard_id: str) -> float:
    """Rendezvous score: the same everywhere, as good as random over pairs, in 0..1.

    Thaler and Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998.
    """
    digest = hashlib.blake2b(f"{city}\0{shard_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def ranking(city: str, shards: Iterable[str]) -> list[str]:
    """Shards in the order in which they should try to claim the city."""
    return sorted(shards, key=lambda shard: (-score(city, shard), shard))


def first_claimants(map_: CityMap) -> dict[str, list[str]]:
    """For each orphan, the living shards in the order in which they should try to claim it.

    Rendezvous hashing with a bound: no shard is first while it has its even share of the cities
    (Mirrokni et al., "Consistent Hashing with Bounded Loads", 2018), counting those it owns already.
    """
    living = [shard.shard_id for shard in map_.shards.values() if shard.alive]
    if not living:
        return {}
    share = math.ceil(len(map_.cities) / len(living))
    room = {shard: share - len(map_.owned_by(shard)) for shard in living}
    order: dict[str, list[str]] = {}
    for city in sorted(map_.orphans(), key=lambda entry: entry.city):
        ranked = sorted(ranking(city.city, living), key=lambda shard: room[shard] <= 0)
        room[ranked[0]] -= 1
        order[city.city] = ranked
    return order
