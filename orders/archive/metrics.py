"""Metrics of the archive."""

from __future__ import annotations

from node.telemetry import counter

ARCHIVED = counter("forno_orders_archived_total", "Orders moved to the archive.")
ARCHIVE_PUT_OFF = counter(
    "forno_orders_archive_put_off_total", "Months left for the next time: not_final, changed, in_use.", ["why"]
)
ARCHIVE_FAILED = counter("forno_orders_archive_failed_total", "Nightly runs of the archive that failed.")
