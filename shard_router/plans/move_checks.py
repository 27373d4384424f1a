"""Check that a move or a drain is possible on the map. Pure."""

from __future__ import annotations

from shard_router.errors import MoveRefused, UnknownCity, UnknownShard
from shard_router.topology import CityEntry, CityMap


def check_move(map_: CityMap, city: str, to_shard: str) -> CityEntry:
    """The entry of a city that may move to the shard now, or is on its way there.

    Raises `UnknownCity`, or `MoveRefused` with the reason.
    """
    entry = map_.cities.get(city)
    if entry is None:
        raise UnknownCity(city)
    target = map_.shards.get(to_shard)
    if target is None:
        known = ", ".join(sorted(map_.shards)) or "none"
        raise MoveRefused(f"no shard {to_shard!r}; there are: {known}", reason="UNKNOWN_SHARD")
    if not target.alive:
        raise MoveRefused(f"shard {to_shard} is not alive", reason="DEAD_TARGET")
    if entry.owner == to_shard and not map_.alive(entry.moving_to):
        raise MoveRefused(f"{city} is on {to_shard} already", reason="SAME_SHARD")
    if entry.moving_to is not None and entry.moving_to != to_shard and map_.alive(entry.moving_to):
        raise MoveRefused(f"{city} is moving to {entry.moving_to} already", reason="MOVE_UNDER_WAY")
    if target.draining:
        raise MoveRefused(f"shard {to_shard} is being drained; `forno shards undrain {to_shard}`", reason="DRAINING")
    return entry


def check_drain(map_: CityMap, shard_id: str) -> None:
    """Check that the shard may be drained. Raises `UnknownShard`, or `MoveRefused` if nobody could take its cities."""
    if shard_id not in map_.shards:
        raise UnknownShard(shard_id, map_.shards)
    if not [other for other in map_.open_shards() if other != shard_id]:
        raise MoveRefused(f"no other living shard could take the cities of {shard_id}", reason="NO_OTHER_SHARD")
