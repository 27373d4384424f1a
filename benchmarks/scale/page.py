"""docs/scale.md of a run: the text is `page.md`, every figure in it comes from the run's JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.scale.control import DATABASE_CORES, TAKE_S
from benchmarks.scale.costs import Costs
from shard_router.leases.timing import BEAT_EVERY_S

_TEMPLATE = Path(__file__).with_suffix(".md")


def page(report: dict[str, Any]) -> str:
    """The whole page as Markdown."""
    return _TEMPLATE.read_text(encoding="utf-8").format(**values(report))


def values(report: dict[str, Any]) -> dict[str, Any]:
    """Values for the template's places. Raises `ValueError` where the costs contradict themselves."""
    Costs(**report["costs"])
    planet, machine, map_, moves = (report[name] for name in ("planet", "machine", "map", "rebalance"))
    cores = sum(need["cores"] for need in report["needs"])
    zones = map_["cities"]
    core_mb = sum(store["mb_a_s"] for store in report["stores"] if store["server"] == "Postgres core")
    tick_processes = next(need["processes"] for need in report["needs"] if need["part"] == "shard: ticks")
    beat_cores = map_["beat_database_ms"] / 1000 / BEAT_EVERY_S  # of one shard
    return {
        "cpus": machine["cpus"],
        "arch": machine["machine"],
        "python": machine["python"],
        "load": machine["load_average_at_end"][0],
        "commit": report["commit"][:10],
        "asked": _table(("what", "value"), _asked(planet, zones)),
        "costs": _table(("unit", "cost"), _costs(report["costs"])),
        "needs": _needs(report["needs"]),
        "stores": _stores(report["stores"]),
        "storms": _storms(report["storms"]),
        "busy": planet["busy"],
        "cores": cores,
        "machines": math.ceil(cores / planet["machine_cores"]),
        "machine_cores": planet["machine_cores"],
        "streams": planet["streams_a_process"],
        "sockets": planet["sockets_a_process"],
        "replicas": planet["replicas"],
        "zones": zones,
        "zone_riders": planet["zone_riders"],
        "partition_replicas": 2 * zones * planet["replicas"],
        "map_cities": map_["cities"],
        "map_mb": map_["map_bytes"] / 1e6,
        "fanout_mb": map_["map_bytes"] * map_["shards"] / 1e6,
        "beat_cores": map_["shards"] * beat_cores,
        "tick_processes": tick_processes,
        "all_beat_cores": tick_processes * beat_cores,
        "most_shards": int(DATABASE_CORES * planet["busy"] / beat_cores),
        "maps": math.ceil(tick_processes / map_["shards"]),
        "beat_every": BEAT_EVERY_S,
        "beat_share": map_["beat_shard_ms"] / 1000 / BEAT_EVERY_S,
        **{name: value for name, value in map_.items() if name != "cities"},
        "before": moves["max_over_mean_before"],
        "after": moves["max_over_mean_after"],
        "target": moves["target_over_mean"],
        **{name: moves[name] for name in ("moves", "riders_moved", "second_plan")},
        "edge_cores": next(need["cores"] for need in report["needs"] if need["part"] == "edge"),
        "core_mb": core_mb,
        "database_cores": DATABASE_CORES,
        "take_s": TAKE_S,
    }


def _asked(planet: dict[str, Any], zones: int) -> list[tuple[str, str]]:
    carried = f"assumed: {planet['carried']} orders a working rider, {planet['on_shift']} on shift for one that works"
    return [
        ("deliveries under way", f"{planet['under_way']:,}"),
        ("orders a day", f"{planet['orders_a_day']:,}"),
        ("cities, and zones once the biggest are cut", f"{planet['cities']:,}, {zones:,}"),
        (f"riders on shift ({carried})", f"{planet['riders']:,}"),
        ("a fix a rider every (assumed)", f"{planet['fix_every_s']:g} s"),
        ("customers watching (assumed)", f"{planet['watchers']:,}"),
        ("of the deliveries under way, no rider has yet (assumed)", f"{planet['unassigned']:.0%}"),
        ("ticks a second of a zone", f"{planet['ticks_a_s']:g}"),
        ("busiest second over the mean (assumed)", f"{planet['peak']:g}"),
    ]


def _costs(costs: dict[str, Any]) -> list[tuple[str, str]]:
    ticks = ", ".join(f"{n} open orders {ms:,.1f} ms" for n, ms in costs["tick_ms"].items())
    orders = ", ".join(f"{name} {ms:,.2f}" for name, ms in costs["order_cpu_ms"].items())
    return [
        ("a fix through the edge, one a message", f"{costs['edge_us_a_fix']:,.2f} µs"),
        ("a fix into the index, bucketed anew", f"{costs['shard_us_a_fix']:,.3f} µs"),
        ("a fix through the feed", f"{costs['feed_us_a_fix']:,.3f} µs"),
        ("a frame to a socket", f"{costs['push_us']:,.2f} µs, {costs['push_bytes']:,.0f} bytes"),
        ("a tick, the dearest of cities of up to so many", ticks),
        ("an order placed, CPU ms by process", orders),
        ("a fix in Kafka, 64 a message", f"{costs['fix_log_bytes']:,.1f} bytes"),
        ("an order's events in Kafka", f"{costs['event_log_bytes']:,.0f} bytes"),
        ("an order in Postgres core", _written(costs["order_written_bytes"], costs["order_kept_bytes"])),
        ("a tick in Postgres core", _written(costs["tick_written_bytes"], costs["tick_kept_bytes"])),
        ("a rider in Redis", f"{costs['redis_bytes_a_rider']:,.0f} bytes"),
        ("a rider-minute in MongoDB", f"{costs['trail_bytes_a_rider_minute']:,.0f} bytes"),
    ]


def _written(written: float, kept: float) -> str:
    return f"{written:,.0f} bytes of its log, {kept:,.0f} of tables and indexes"


def _needs(needs: Sequence[dict[str, Any]]) -> str:
    heads = ("part", "units a second", "CPU a unit", "cores", "processes at least")
    return _table(
        heads,
        [
            (
                need["part"],
                f"{need['units_a_s']:,.0f} ({need['unit']})",
                f"{need['us_a_unit']:,.2f} µs",
                f"{need['cores']:,.0f}",
                f"{need['processes']:,}",
            )
            for need in needs
        ],
    )


def _stores(stores: Sequence[dict[str, Any]]) -> str:
    heads = ("server", "what", "MB/s in at the peak", "kept, GB", "note")
    return _table(
        heads,
        [
            (
                store["server"],
                store["what"],
                "–" if store["mb_a_s"] is None else f"{store['mb_a_s']:,.1f}",
                f"{store['kept_gb']:,.1f}",
                store["note"],
            )
            for store in stores
        ],
    )


def _storms(storms: Sequence[dict[str, Any]]) -> str:
    heads = ("shards killed", "cities orphaned", "half run again", "all run again", "claims (lost)", "beats")
    return _table(
        (*heads, "notifications", "database busy", "fullest shard over mean"),
        [
            (
                str(storm["killed"]),
                f"{storm['orphans']:,}",
                f"{storm['half_owned_s']:.2f} s",
                f"{storm['owned_s']:.2f} s",
                f"{storm['claims']:,} ({storm['claims_lost']:,})",
                f"{storm['beats']:,}",
                f"{storm['notified']:,}",
                f"{storm['database_busy']:.0%}",
                f"{storm['load_max_over_mean']:.2f}",
            )
            for storm in storms
        ],
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
