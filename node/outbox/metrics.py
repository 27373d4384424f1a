"""Metrics of the outboxes."""

from __future__ import annotations

from node.telemetry import histogram

LAG_MS = histogram(
    "forno_node_outbox_lag_ms",
    "from the commit of a message to its being in Kafka, wall ms; city: whose relay sent it, empty for orders",
    ["city"],
)
