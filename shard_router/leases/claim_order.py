"""Order in which shards claim the cities without an owner. Pure; all shards compute the same from the same map.

leases begin:   a ... b .. c            settled: SETTLE_S after c     ..........  d   a shard that joins later:
                └─ less than SETTLE_S ─┘         share what is unowned                gets cities by a plan
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from shard_router.leases.timing import SETTLE_S, START_WAIT_S
from shard_router.topology import CityMap


def settling_left_s(map_: CityMap, expected: int) -> dict[str, float]:
    """Seconds until each open shard may claim cities that are not its own; not positive: since when it may.

    Shards that come up together wait for the last of them: each whose lease begins before the others have settled
    joins them, for at most `START_WAIT_S` after the first. As long as fewer than `expected` shards have ever been on
    the map they wait for those too, so long at most. Shards that have settled wait for nobody who comes later.
    """
    known_s = sorted(-shard.known_ms / 1000 for shard in map_.shards.values())
    complete_s = known_s[expected - 1] if len(known_s) >= expected else math.inf
    left_s: dict[str, float] = {}
    together: list[str] = []
    first_s = closes_s = 0.0
    for shard in sorted((map_.shards[name] for name in map_.open_shards()), key=lambda s: (-s.up_ms, s.shard_id)):
        began_s = -shard.up_ms / 1000
        if not together or began_s >= closes_s:
            together, first_s = [], began_s
        together.append(shard.shard_id)
        closes_s = min(max(began_s, complete_s) + SETTLE_S, first_s + START_WAIT_S)
        left_s.update(dict.fromkeys(together, closes_s))
    return left_s


def claim_order(map_: CityMap, settled: Iterable[str]) -> dict[str, list[str]]:
    """For each city that nobody owns or is to get, the settled shards in the order in which to try to claim it.

    Heaviest cities first, each goes to the shard that carries least by then (Graham, "Bounds on Multiprocessing Timing
    Anomalies", 1969), the first by name of those that carry the same: so how many equal cities each shard gets does not
    depend on how many have been claimed already. Before all others comes the owner that let a city go to a target that
    then died.
    """
    orphans, carried = map_.orphans(), dict.fromkeys(sorted(settled), 0)
    if not carried or not orphans:
        return {}
    reserved = {city.city: city.moving_to for city in orphans if map_.alive(city.moving_to)}
    for city in map_.cities.values():
        bearer = city.owner if map_.alive(city.owner) else reserved.get(city.city)
        if bearer in carried:
            carried[bearer] += city.load.burden
    order: dict[str, list[str]] = {}
    for city in sorted(orphans, key=lambda entry: (-entry.load.burden, entry.city)):
        if city.city in reserved:
            continue
        former = city.move.from_shard if city.move is not None else None

        order[city.city] = sorted(carried, key=lambda shard: (shard != former, carried[shard], shard))
        carried[order[city.city][0]] += city.load.burden
    return order
