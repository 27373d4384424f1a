"""Metrics of payments."""

from __future__ import annotations

from node.telemetry import counter, gauge

CALLS = counter(
    "forno_payments_calls_total",
    "Answers of the provider: approved, declined, refused, repeated (known already), unanswered.",
    ["action", "outcome"],
)
INSTRUCTIONS = counter(
    "forno_payments_instructions_total",
    "Events of orders by what became of them: applied, duplicates, held, unreadable.",
    ["outcome"],
)
WEBHOOKS = counter(
    "forno_payments_webhooks_total",
    "Webhooks of the provider by what became of them: heard, repeated, ignored, refused, too_large, put_off.",
    ["outcome"],
)
OVERDUE = gauge("forno_payments_overdue", "Payments that have had something to do for more than a minute.")
TURNED_AWAY = counter("forno_payments_turned_away_total", "Calls refused because too many were under way.")
