"""Order in which shards claim the cities without an owner. Pure; all shards compute the same from the same map.

leases begin:   a ... b .. c            share: START_GAP_S after c    ..........  d   a shard that joins later:
                └─ less than START_GAP_S ─┘    what is unowned                        gets cities by a plan
"""

from __future__ import annotations

import math
from collections.abc import Collection
from heapq import heapify, heappop, heappush

from shard_router.leases.timing import START_GAP_S, START_WAIT_S
from shard_router.topology import CityEntry, CityMap


def start_wait_left_s(map_: CityMap, expected: int) -> dict[str, float]:
    """Seconds until each open shard may claim cities that are not its own; not positive: since when it may.

    Shards that come up together wait for the last of them: each whose lease begins before the wait of the others is
    over joins them, for at most `START_WAIT_S` after the first. As long as fewer than `expected` shards have ever been
    on the map they wait for those too, so long at most. Shards whose wait is over wait for nobody who comes later.
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
        closes_s = min(max(began_s, complete_s) + START_GAP_S, first_s + START_WAIT_S)
        left_s.update(dict.fromkeys(together, closes_s))
    return left_s


def claim_places(map_: CityMap, shards: Collection[str], me: str) -> dict[str, int]:
    """For each city that nobody owns or is to get, how many of the shards try to claim it before this one of them.

    Heaviest cities first, each goes to the shard that carries least by then (Graham, "Bounds on Multiprocessing Timing
    Anomalies", 1969), the first by name of those that carry the same, and the others stand in line likewise: so how
    many equal cities each shard gets does not depend on how many have been claimed already. Before all others comes the
    owner that let a city go to a target that then died.
    """
    orphans = map_.orphans()
    if not orphans:
        return {}
    reserved = {city.city: city.moving_to for city in orphans if map_.alive(city.moving_to)}
    carried = _carried(map_, shards, reserved)
    least = [(load, shard) for shard, load in carried.items()]  # a heap; entries of what a shard carried once are stale
    heapify(least)
    ahead = _ahead_of(me, carried)
    places: dict[str, int] = {}
    for city in sorted(orphans, key=lambda entry: (-entry.load.burden, entry.city)):
        if city.city in reserved:
            continue
        while least[0][0] != carried[least[0][1]]:
            heappop(least)
        first = _former(city, carried) or least[0][1]
        was_ahead = (carried[first], first) < (carried[me], me)
        places[city.city] = 0 if first == me else ahead + (not was_ahead)
        carried[first] += city.load.burden
        heappush(least, (carried[first], first))
        if first == me:
            ahead = _ahead_of(me, carried)
        elif was_ahead and (carried[first], first) > (carried[me], me):
            ahead -= 1
    return places


def _carried(map_: CityMap, shards: Collection[str], reserved: dict[str, str | None]) -> dict[str, int]:
    """What each shard carries, with what is on its way to it."""
    carried = dict.fromkeys(shards, 0)
    for city in map_.cities.values():
        bearer = city.owner if map_.alive(city.owner) else reserved.get(city.city)
        if bearer in carried:
            carried[bearer] += city.load.burden
    return carried


def _ahead_of(me: str, carried: dict[str, int]) -> int:
    """How many shards carry less."""
    return sum((load, shard) < (carried[me], me) for shard, load in carried.items())


def _former(city: CityEntry, carried: dict[str, int]) -> str | None:
    """The shard that let the city go to a target, if it is one of these."""
    former = city.move.from_shard if city.move is not None else None
    return former if former in carried else None
