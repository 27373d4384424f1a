"""Metrics of the outboxes of orders and payments."""

from __future__ import annotations

from node.telemetry import histogram

OUTBOX_LAG_MS = histogram(
    "forno_orders_outbox_lag_ms", "From the commit of a message to its being in Kafka, milliseconds."
)
