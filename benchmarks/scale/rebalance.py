"""Rebalancing of a planet that was claimed while it slept, when it wakes."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.scale.control import planet
from shard_router.leases.claim_order import claim_places
from shard_router.plans.plan import balance, burdens, default_target, moved
from shard_router.topology import CityLoad, CityMap, ShardEntry


def rebalance(cities: int, shards: int, riders: int) -> dict[str, float]:
    """Cities go to whom the claims send them, all of one weight; then they wake, and a plan is made and carried out."""
    entries, loads = planet(cities, riders)
    names = [f"shard-{number:03d}" for number in range(shards)]
    living = {name: ShardEntry(name, f"{name}:7020", True, 0) for name in names}
    asleep = CityMap(1, {e.city: replace(e, load=CityLoad()) for e in entries}, living)
    owner = {c: name for name in names for c, place in claim_places(asleep, names, name).items() if place == 0}
    awake = CityMap(2, {e.city: replace(e, owner=owner[e.city], load=loads[e.city]) for e in entries}, living)
    before = burdens(awake)
    mean = sum(before.values()) / len(before)
    steps = balance(awake, default_target(awake))
    after = burdens(moved(awake, steps))
    return {
        "cities": len(entries),
        "shards": shards,
        "moves": len(steps),
        "riders_moved": sum(step.riders for step in steps),
        "target_over_mean": round(default_target(awake) / mean, 3),
        "max_over_mean_before": round(max(before.values()) / mean, 3),
        "max_over_mean_after": round(max(after.values()) / mean, 3),
        "second_plan": len(balance(moved(awake, steps), default_target(awake))),
    }
