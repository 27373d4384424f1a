"""The map of cities and shards as JSON, for operators."""

from __future__ import annotations

from typing import Any

from shard_router.topology import CityMap


def map_view(map_: CityMap) -> dict[str, Any]:
    """`cities` and `shards`, each sorted by name."""
    return {
        "version": map_.version,
        "cities": [
            {"city": entry.city, "shard_id": entry.owner, "epoch": entry.epoch, "moving_to": entry.moving_to}
            for entry in sorted(map_.cities.values(), key=lambda entry: entry.city)
        ],
        "shards": [
            {
                "shard_id": shard.shard_id,
                "alive": shard.alive,
                "heartbeat_age_ms": shard.heartbeat_age_ms,
                "riders": shard.load.riders,
                "open_orders": shard.load.open_orders,
                "tick_p99_ms": shard.load.tick_p99_ms,
            }
            for shard in sorted(map_.shards.values(), key=lambda shard: shard.shard_id)
        ],
    }
