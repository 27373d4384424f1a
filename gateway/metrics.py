"""Metrics of the gateway processes."""

from __future__ import annotations

from node.telemetry import LATENCY_MS, counter, gauge, histogram

HTTP_MS = histogram("forno_http_request_ms", "HTTP requests by route and status, milliseconds", ("route", "status"))
LIMITED = counter("forno_http_limited", "Requests answered 429")
LIMITS_OPEN = counter("forno_http_limits_open", "Requests let through unchecked because Redis was away")

SOCKETS = gauge("forno_live_sockets", "Open WebSockets", ("kind",))
WATCHED = gauge("forno_live_orders", "Orders that somebody watches")
REFUSED = counter("forno_live_refused", "WebSockets refused", ("reason",))
KITCHENS = gauge("forno_live_kitchens", "Kitchens that somebody watches, or watched a moment ago")
KITCHEN_COMMANDS = counter("forno_live_kitchen_commands", "Commands of kitchens: done, or why not", ("outcome",))
PUSHES = counter("forno_live_pushes", "Positions for sockets; forno_live_conflated tells how many were never written")
CONFLATED = counter("forno_live_conflated", "Frames replaced by a newer one before a slow socket took them")
RESYNCS = counter("forno_live_resyncs", "Slow sockets that got a new snapshot because too many events were pending")
STALE = counter("forno_live_stale_dropped", "Positions dropped", ("why",))
REFRESHES = counter("forno_live_refreshes", "Questions to dispatch or orders about a watched order", ("outcome",))
FEED_LOST = counter("forno_live_feed_lost", "Times the Redis subscription broke and was made anew")
#: Age of a fix when its frame is handed to the socket, wall milliseconds; the browser measures the rest of the way.
FIX_TO_SOCKET_MS = histogram("forno_live_fix_to_socket_ms", "Fix to socket, wall ms", buckets=LATENCY_MS)
