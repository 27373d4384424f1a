"""Metrics of ordering."""

from __future__ import annotations

from node.telemetry import counter, gauge, histogram

PLACED = counter("forno_orders_placed_total", "Orders placed, by city; a replayed key counts once.", ["city"])
PLACE_MS = histogram("forno_orders_place_ms", "Place, from the request to the commit, milliseconds.")
EVENTS_HEARD = counter(
    "forno_orders_events_heard_total",
    "Events of other services by what became of them: applied, duplicates, held, refused, unknown.",
    ["outcome"],
)
EVENTS_UNREADABLE = counter(
    "forno_orders_events_unreadable_total",
    "Messages that could not be read or stored and were passed over, by each database.",
    ["source"],
)
STUCK = gauge(
    "forno_orders_stuck",
    "Orders of a database that have waited in a status for longer than they should.",
    ["database", "status"],
)
RESUMED = counter("forno_orders_resumed_total", "Stuck orders whose events were sent once more.", ["status"])
GIVEN_UP = counter(
    "forno_orders_given_up_total", "Orders ended because the answer they waited for never came, by status.", ["status"]
)
CACHE = counter(
    "forno_orders_cache_total", "Reads of the cache of recent orders: hit, miss, passed (not asked), away.", ["what"]
)
REPLICA_READS = counter(
    "forno_orders_reads_total", "Reads of orders by where they went, once there is a replica.", ["where"]
)
REPLICA_AGE_S = gauge("forno_orders_replica_age_s", "How long ago the replica had everything, wall seconds.")
