"""Facts from the databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node import postgres

#: Orders that two riders held for certain at one time: a slot of the load each, tick ranges that overlap.
_HELD_TWICE = """
select distinct a.order_id
from dispatch.holdings a join dispatch.holdings b on b.order_id = a.order_id and b.holding_id > a.holding_id
where a.rider_id <> b.rider_id and a.slot is not null and b.slot is not null
  and int8range(a.since_tick, a.until_tick) && int8range(b.since_tick, b.until_tick)
"""
_TICKS = """
select count(*) as count,
       percentile_cont(0.5) within group (order by duration_ms) as p50,
       percentile_cont(0.99) within group (order by duration_ms) as p99
from dispatch.ticks
"""
_ETA = """
select count(*) as count,
       percentile_cont(0.5) within group (order by abs(delivered_ms - predicted_ms) / 1000.0) as median,
       percentile_cont(0.9) within group (order by abs(delivered_ms - predicted_ms) / 1000.0) as p90,
       avg(((delivered_ms <= predicted_p90_ms))::int) as within_p90
from dispatch.eta_outcomes
"""
_ORDERS = "select lower(status) as status, count(*) as count from orders group by 1"
_DELIVERED = "select city, count(*) as count from dispatch.orders where status = 'delivered' group by city"
_CLICK_TO_DOOR = """
select percentile_cont(0.5) within group (order by (delivered_ms - placed_ms) / 60000.0) as median,
       percentile_cont(0.9) within group (order by (delivered_ms - placed_ms) / 60000.0) as p90,
       avg((delivered_ms - placed_ms) / 60000.0) as mean
from dispatch.eta_outcomes
"""
_READY_TO_PICKUP = """
select count(*) as count,
       avg(((body->>'picked_up_ms')::bigint - (body->>'ready_ms')::bigint) / 60000.0) as mean
from dispatch.orders where body->>'picked_up_ms' is not null
"""


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in two numbers; None while there is nothing to measure."""

    count: int
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class DispatchFacts:
    """What dispatch committed."""

    delivered: int
    held_twice: tuple[str, ...]
    tick_ms: Spread
    eta_error_s: Spread
    eta_within_p90: float | None
    click_to_door_mean_min: float | None
    click_to_door_min: Spread
    ready_to_pickup_mean_min: float | None


async def delivered_by_city(core_url: str) -> dict[str, int]:
    """Orders delivered, as committed: unlike the counters of a city's owner it never goes back."""
    async with postgres.connection(core_url) as connection:
        return {row["city"]: row["count"] for row in await connection.fetch(_DELIVERED)}


async def dispatch_facts(core_url: str) -> DispatchFacts:
    """Reads the schema `dispatch` of the core database."""
    async with postgres.connection(core_url) as connection:
        delivered = await connection.fetch(_DELIVERED)
        twice = await connection.fetch(_HELD_TWICE)
        ticks = await connection.fetchrow(_TICKS)
        eta = await connection.fetchrow(_ETA)
        click = await connection.fetchrow(_CLICK_TO_DOOR)
        waited = await connection.fetchrow(_READY_TO_PICKUP)
    return DispatchFacts(
        delivered=sum(row["count"] for row in delivered),
        held_twice=tuple(row["order_id"] for row in twice),
        tick_ms=Spread(ticks["count"], ticks["p50"], ticks["p99"]),
        eta_error_s=Spread(eta["count"], eta["median"], eta["p90"]),
        eta_within_p90=None if eta["within_p90"] is None else float(eta["within_p90"]),
        click_to_door_mean_min=None if click["mean"] is None else float(click["mean"]),
        click_to_door_min=Spread(eta["count"], click["median"], click["p90"]),
        ready_to_pickup_mean_min=None if waited["mean"] is None else float(waited["mean"]),
    )


async def order_statuses(urls: Sequence[str]) -> dict[str, int]:
    """How many orders stand in each status, over all databases of orders."""
    counts: dict[str, int] = {}
    for url in urls:
        async with postgres.connection(url) as connection:
            for row in await connection.fetch(_ORDERS):
                counts[row["status"]] = counts.get(row["status"], 0) + row["count"]
    return counts
