"""The planet of the seed as arithmetic on measured costs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.scale.control import planet as places
from benchmarks.scale.costs import Costs


@dataclass(frozen=True, slots=True)
class Planet:
    """What is asked, and what we assume of it."""

    under_way: int = 10_000_000
    orders_a_day: int = 500_000_000
    cities: int = 4_000
    #: Orders that a working rider carries, and riders on shift for one that works.
    carried: float = 1.3
    on_shift: float = 1.4
    fix_every_s: float = 1.0
    #: Of the deliveries under way, those whose customer looks at the map; and frames a second each is sent.
    watched: float = 0.3
    frames_a_s: float = 1.0
    #: The busiest second over the mean one of the day.
    peak: float = 2.5
    #: A core is planned to be so busy at the peak.
    busy: float = 0.5
    replicas: int = 3
    log_days: float = 1.0
    trail_hours: float = 24.0
    order_days: int = 180
    #: Riders online of the biggest zone; a bigger city is cut.
    zone_riders: int = 5_000
    #: Cores of one machine, connections of one edge and one live gateway process.
    machine_cores: int = 32
    streams_a_process: int = 5_000
    sockets_a_process: int = 5_000

    @property
    def riders(self) -> int:
        """On shift at the peak."""
        return round(self.under_way / self.carried * self.on_shift)

    @property
    def fixes_a_s(self) -> float:
        return self.riders / self.fix_every_s

    @property
    def orders_a_s(self) -> float:
        """At the peak."""
        return self.orders_a_day / 86_400 * self.peak

    @property
    def watchers(self) -> int:
        return round(self.under_way * self.watched)


@dataclass(frozen=True, slots=True)
class Need:
    """A part of the system: how many cores and processes at the peak, and from which figures."""

    part: str
    unit: str
    units_a_s: float
    us_a_unit: float
    cores: float
    processes: int


@dataclass(frozen=True, slots=True)
class Store:
    """A server's work: what comes in a second and what it keeps, replicas in."""

    server: str
    what: str
    mb_a_s: float
    kept_tb: float
    note: str


def tick_ms(costs: Costs, orders: float) -> float:
    """The tick of a city with so many open orders, by straight lines between the measured ones."""
    points = sorted((float(n), ms) for n, ms in costs.tick_ms.items())
    for (low, low_ms), (high, high_ms) in pairwise(points):
        if orders <= high or (high, high_ms) == points[-1]:
            return max(0.0, low_ms + (orders - low) * (high_ms - low_ms) / (high - low))
    return points[0][1]


def needs(costs: Costs, planet: Planet) -> list[Need]:
    """Cores by part, at the planned load of a core."""
    zones = len(places(planet.cities, planet.riders)[0])
    unassigned = planet.under_way * 0.15 / zones
    cpu = costs.order_cpu_ms
    rows = [
        ("edge", "fix", planet.fixes_a_s, costs.edge_us_a_fix, planet.riders / planet.streams_a_process),
        ("shard: fixes", "fix", planet.fixes_a_s, costs.shard_us_a_fix + costs.feed_us_a_fix, 0.0),
        ("shard: ticks", "tick of a zone", float(zones), 1000 * tick_ms(costs, unassigned), 0.0),
        (
            "live gateway",
            "frame",
            planet.watchers * planet.frames_a_s,
            costs.push_us,
            planet.watchers / planet.sockets_a_process,
        ),
        ("orders", "order", planet.orders_a_s, 1000 * cpu.get("orders", 0.0), 0.0),
        ("payments", "order", planet.orders_a_s, 1000 * cpu.get("payments", 0.0), 0.0),
        ("Postgres of orders and payments", "order", planet.orders_a_s, 1000 * cpu.get("postgres", 0.0), 0.0),
    ]
    return [_need(planet, *row) for row in rows]


def _need(planet: Planet, part: str, unit: str, units_a_s: float, us: float, processes: float) -> Need:
    cores = units_a_s * us / 1e6 / planet.busy
    return Need(part, unit, units_a_s, us, cores, math.ceil(max(cores, processes)))


def stores(costs: Costs, planet: Planet) -> list[Store]:
    """Bytes by server."""
    fix_mb = planet.fixes_a_s * costs.fix_log_bytes / 1e6
    event_mb = planet.orders_a_s * costs.event_log_bytes / 1e6
    row_mb = planet.orders_a_s * costs.dispatch_row_bytes_an_order / 1e6
    trail_mb = planet.riders / 60 * costs.trail_bytes_a_rider_minute * min(1.0, 1 / planet.fix_every_s) / 1e6
    mean = 1 / planet.peak
    day_s = 86_400 * planet.replicas / 1e6
    return [
        Store("Kafka", "rider.pings", fix_mb, fix_mb * mean * planet.log_days * day_s, "before compression"),
        Store("Kafka", "city.events", event_mb, event_mb * mean * planet.log_days * day_s, "before compression"),
        Store("Postgres core", "ticks, decisions, outbox", row_mb, row_mb * mean * 3 * day_s, "72 h kept, then pruned"),
        Store(
            "MongoDB",
            "trails",
            trail_mb,
            trail_mb * mean * planet.trail_hours / 24 * day_s,
            f"{planet.trail_hours:g} h kept",
        ),
        Store("Redis", "GEO views", 0.0, planet.riders * costs.redis_bytes_a_rider * 2 / 1e12, "memory, one replica"),
    ]
