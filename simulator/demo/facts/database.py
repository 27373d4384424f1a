"""Facts from the databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node import postgres
from node.postgres import statements

SQL = statements(__file__)

#: Orders that two riders held for certain at one time: a slot of the load each, tick ranges that overlap.


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution in two numbers; None while there is nothing to measure."""

    count: int
    middle: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class DispatchFacts:
    """Counts of what dispatch committed."""

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
        return {row["city"]: row["count"] for row in await connection.fetch(SQL.delivered)}


async def dispatch_facts(core_url: str) -> DispatchFacts:
    """Reads the schema `dispatch` of the core database."""
    async with postgres.connection(core_url) as connection:
        delivered = await connection.fetch(SQL.delivered)
        twice = await connection.fetch(SQL.held_twice)
        ticks = await connection.fetchrow(SQL.ticks)
        eta = await connection.fetchrow(SQL.eta)
        click = await connection.fetchrow(SQL.click_to_door)
        waited = await connection.fetchrow(SQL.ready_to_pickup)
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
    """Number of orders in each status, over all databases of orders."""
    counts: dict[str, int] = {}
    for url in urls:
        async with postgres.connection(url) as connection:
            for row in await connection.fetch(SQL.orders):
                counts[row["status"]] = counts.get(row["status"], 0) + row["count"]
    return counts
