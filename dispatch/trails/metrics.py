"""Metrics of the trails process, in one list."""

from __future__ import annotations

from node.telemetry import counter, gauge

HOURS = counter(
    "forno_dispatch_trails_hours_archived_total",
    "hours of a city written to the archive, again or for the first time",
    [],
)
FIXES = counter("forno_dispatch_trails_fixes_archived_total", "fixes that went into the archive", [])
POINTS = counter("forno_dispatch_trails_points_archived_total", "points that stayed of them", [])
FAILURES = counter(
    "forno_dispatch_trails_compaction_failures_total", "hours that could not be archived and will be tried again", []
)
OPEN_AGE_S = gauge(
    "forno_dispatch_trails_open_age_s",
    "from the end of the oldest hour that is not archived to now, domain s",
    ["city"],
)
QUESTIONS = counter("forno_dispatch_trails_questions_total", "questions answered, by what was asked", ["what"])
