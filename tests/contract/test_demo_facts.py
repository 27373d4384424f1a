"""Facts that the demo reads from the databases while it runs."""

from __future__ import annotations

import asyncpg

from dispatch.shard.adapters.postgres import prepare
from simulator.demo.facts.database import delivered_by_city


async def test_deliveries_are_counted_by_city_as_committed(fresh_database: str) -> None:
    """What a city's former owners delivered counts too; orders that ended otherwise or are under way do not."""
    await prepare(fresh_database)
    rows = [
        ("o-1", "la-serena", "delivered", 1),
        ("o-2", "la-serena", "delivered", 900),
        ("o-3", "la-serena", "cancelled", 901),
        ("o-4", "coquimbo", "delivered", 5),
        ("o-5", "coquimbo", "assigned", 6),
    ]
    connection = await asyncpg.connect(fresh_database)
    try:
        await connection.executemany(
            "insert into dispatch.orders (order_id, city, status, tick, body) values ($1, $2, $3, $4, '{}')", rows
        )
    finally:
        await connection.close()
    assert await delivered_by_city(fresh_database) == {"la-serena": 2, "coquimbo": 1}
