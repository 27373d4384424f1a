"""Metrics of the order service that are not of one part."""

from __future__ import annotations

from node.telemetry import counter

TURNED_AWAY = counter("forno_orders_turned_away_total", "Calls refused because too many were under way.")
