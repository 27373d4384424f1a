"""The planet of the seed as arithmetic on measured costs. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.scale.control import planet as places
from benchmarks.scale.costs import Costs


@dataclass(frozen=True, slots=True)
class Planet:
    """Assumptions about the planet's demand."""

    under_way: int = 10_000_000
    orders_a_day: int = 500_000_000
    cities: int = 4_000
    #: Orders that a working rider carries, and riders on shift for one that works.
    carried: float = 1.3
    on_shift: float = 1.4
    fix_every_s: float = 1.0
    #: Of the deliveries under way, those that no rider has accepted yet: what a tick is about.
    unassigned: float = 0.15
    #: Ticks a second of a zone.
    ticks_a_s: float = 1.0
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
    #: Hours that dispatch keeps its rows (`dispatch.shard.housekeeping`).
    row_hours: float = 72.0
    order_days: int = 180
    #: Riders online of the biggest zone; a bigger city is cut.
    zone_riders: int = 5_000
    #: Cores of one machine, connections of one edge and one live gateway process.
    machine_cores: int = 32
    streams_a_process: int = 5_000
    sockets_a_process: int = 5_000

    @property
    def riders(self) -> int:
        """Riders on shift at the peak."""
        return round(self.under_way / self.carried * self.on_shift)

    @property
    def fixes_a_s(self) -> float:
        return self.riders / self.fix_every_s

    @property
    def orders_a_s(self) -> float:
        """Orders a second at the peak."""
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
    """A server's work: MB that come in a second at the peak, None where nobody measured it; GB kept, replicas in."""

    server: str
    what: str
    mb_a_s: float | None
    kept_gb: float
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
    unassigned = planet.under_way * planet.unassigned / zones
    cpu = costs.order_cpu_ms
    rows = [
        ("edge", "fix", planet.fixes_a_s, costs.edge_us_a_fix, planet.riders / planet.streams_a_process),
        ("shard: fixes", "fix", planet.fixes_a_s, costs.shard_us_a_fix + costs.feed_us_a_fix, 0.0),
        ("shard: ticks", "tick of a zone", zones * planet.ticks_a_s, 1000 * tick_ms(costs, unassigned), 0.0),
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
    ticks_a_s = len(places(planet.cities, planet.riders)[0]) * planet.ticks_a_s
    fix_mb = planet.fixes_a_s * costs.fix_log_bytes / 1e6
    event_mb = planet.orders_a_s * costs.event_log_bytes / 1e6
    order_mb = planet.orders_a_s * costs.order_written_bytes / 1e6
    trail_mb = planet.riders / 60 * costs.trail_bytes_a_rider_minute * min(1.0, 1 / planet.fix_every_s) / 1e6
    mean = 1 / planet.peak

    def kept(mb_a_s: float, hours: float) -> float:
        return mb_a_s * 3_600 * hours * planet.replicas / 1e3

    log_h, row_h, trail_h = 24 * planet.log_days, planet.row_hours, planet.trail_hours
    orders_kept_mb = planet.orders_a_s * mean * costs.order_kept_bytes / 1e6
    tick_mb = ticks_a_s * costs.tick_written_bytes / 1e6
    ticks_kept_mb = ticks_a_s * costs.tick_kept_bytes / 1e6
    geo_gb = planet.riders * costs.redis_bytes_a_rider * 2 / 1e9
    rows = f"{row_h:g} h kept, then pruned"
    return [
        Store("Kafka", "rider.pings", fix_mb, kept(fix_mb * mean, log_h), "before compression"),
        Store("Kafka", "city.events", event_mb, kept(event_mb * mean, log_h), "before compression"),
        Store("Postgres core", "orders: decisions, outbox", order_mb, kept(orders_kept_mb, row_h), rows),
        Store("Postgres core", "ticks", tick_mb, kept(ticks_kept_mb, row_h), "day and night alike"),
        Store("MongoDB", "trails", trail_mb, kept(trail_mb * mean, trail_h), f"{trail_h:g} h kept"),
        Store("Redis", "GEO views", None, geo_gb, "memory, a replica in; what comes in was not measured"),
    ]
