"""When a move may be asked for. Pure."""

from __future__ import annotations

from shard_router.errors import MoveRefused, UnknownCity
from shard_router.topology import CityEntry, CityMap


def check_move(map_: CityMap, city: str, to_shard: str) -> CityEntry:
    """The entry of a city that may move to the shard now. Raises `UnknownCity` or `MoveRefused` with the reason."""
    entry = map_.cities.get(city)
    if entry is None:
        raise UnknownCity(city)
    if to_shard not in map_.shards:
        known = ", ".join(sorted(map_.shards)) or "none"
        raise MoveRefused(f"no shard {to_shard!r}; there are: {known}", reason="UNKNOWN_SHARD")
    if not map_.alive(to_shard):
        raise MoveRefused(f"shard {to_shard} is not alive", reason="DEAD_TARGET")
    if entry.owner == to_shard and entry.moving_to is None:
        raise MoveRefused(f"{city} is on {to_shard} already", reason="SAME_SHARD")
    if entry.moving_to is not None and entry.moving_to != to_shard and map_.alive(entry.moving_to):
        raise MoveRefused(f"{city} is moving to {entry.moving_to} already", reason="MOVE_UNDER_WAY")
    return entry
