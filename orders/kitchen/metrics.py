"""Metrics of kitchens."""

from __future__ import annotations

from node.telemetry import counter

KITCHEN_ANSWERS = counter(
    "forno_orders_kitchen_answers_total",
    "Answers of kitchens by kind, and whether they changed the order.",
    ["kind", "what"],
)
KITCHENS_SILENT = counter("forno_orders_kitchens_silent_total", "Orders rejected because their kitchen never answered.")
