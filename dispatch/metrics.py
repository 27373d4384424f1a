"""Metrics of a shard, in one list."""

from __future__ import annotations

from node.telemetry import counter, gauge, histogram

FIXES = counter("forno_dispatch_fixes_total", "fixes read, by what became of them", ["city", "outcome"])
FIXES_NOT_FORWARDED = counter(
    "forno_dispatch_fixes_not_forwarded_total", "fixes of lent riders that the borrower's log cannot take", ["city"]
)
LOG_AGE_MS = histogram(
    "forno_dispatch_log_age_ms", "from packing at the edge to applied at the shard, wall ms", ["city"]
)
#: Of each batch one fix is observed.
FIX_AGE_MS = histogram(
    "forno_dispatch_fix_age_ms",
    "age of a fix since its rider sent it, when applied and when published",
    ["city", "hop"],
)
BAD_DISCARDED = counter(
    "forno_dispatch_bad_messages_discarded_total",
    "messages that a follower of a city could not read and forgot for newer ones",
    ["city"],
)
EVENTS = counter("forno_dispatch_events_total", "city events, by what became of them", ["city", "outcome"])
TICK_MS = histogram("forno_dispatch_tick_ms", "one tick from intake to commit, wall ms", ["city"])
COMMIT_MS = histogram("forno_dispatch_commit_ms", "the tick's transaction, wall ms", ["city"])
FALLBACKS = counter("forno_dispatch_fallbacks_total", "ticks that greedy had to answer, by cause", ["city", "cause"])
REFUSED = counter("forno_dispatch_commits_refused_total", "ticks the database refused, by reason", ["city", "reason"])
OFFERS = counter("forno_dispatch_offers_total", "offers made", ["city"])
DELIVERED = counter("forno_dispatch_delivered_total", "orders delivered", ["city"])
ETA_ERROR_S = histogram(
    "forno_dispatch_eta_error_s",
    "actual less predicted drop-off, predicted at acceptance, domain s",
    ["city"],
    buckets=(-1200, -600, -300, -120, -60, 0, 60, 120, 300, 600, 1200, 2400),
)
OPEN_ORDERS = gauge("forno_dispatch_open_orders", "orders that are not ended", ["city"])
RIDERS_ONLINE = gauge("forno_dispatch_riders_online", "riders on shift", ["city"])
VIEW_LAG_MS = histogram(
    "forno_dispatch_view_lag_ms", "age of the oldest change when a view was written, wall ms", ["view"]
)
VIEW_BEHIND_MS = gauge(
    "forno_dispatch_view_behind_ms",
    "age of the oldest change that a view lacks by now; grows while its store is away, wall ms",
    ["city", "view"],
)
VIEW_FAILURES = counter(
    "forno_dispatch_view_failures_total", "writes to a view that failed and will be made good", ["view"]
)


def refused_total() -> int:
    """Commits refused so far, whatever the city and the reason; the heartbeat tells it to all."""
    return int(sum(s.value for metric in REFUSED.collect() for s in metric.samples if s.name.endswith("_total")))


class CityMetrics:
    """Metrics of one city, bound to its name once: a lookup of labels costs more than the count."""

    def __init__(self, city: str) -> None:
        self._applied = FIXES.labels(city, "applied")
        self._superseded = FIXES.labels(city, "superseded")
        self._log_age = LOG_AGE_MS.labels(city)
        self.applied_age_ms = FIX_AGE_MS.labels(city, "applied")
        self.published_age_ms = FIX_AGE_MS.labels(city, "published")
        self.tick_ms = TICK_MS.labels(city)
        self.commit_ms = COMMIT_MS.labels(city)
        self.offers = OFFERS.labels(city)
        self.delivered = DELIVERED.labels(city)
        self.eta_error_s = ETA_ERROR_S.labels(city)
        self.open_orders = OPEN_ORDERS.labels(city)
        self.riders_online = RIDERS_ONLINE.labels(city)
        self._city = city

    def fixes(self, applied: int, superseded: int) -> None:
        """Counts a batch."""
        self._applied.inc(applied)
        self._superseded.inc(superseded)

    def log_age_ms(self, age_ms: float) -> None:
        """Observes how old the oldest fix of a read is since it was packed."""
        self._log_age.observe(age_ms)

    def event(self, outcome: str) -> None:
        """Counts an event."""
        EVENTS.labels(self._city, outcome).inc()

    def fallback(self, cause: str) -> None:
        """Counts a tick that greedy had to answer; what follows a colon in its cause is left out."""
        FALLBACKS.labels(self._city, cause.partition(":")[0]).inc()

    def refused(self, reason: str) -> None:
        """Counts a commit that the database refused."""
        REFUSED.labels(self._city, reason).inc()
