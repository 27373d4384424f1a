"""Metrics of the gateway processes."""

from __future__ import annotations

from node.telemetry import LATENCY_MS, counter, gauge, histogram

HTTP_MS = histogram(
    "forno_gateway_http_request_ms", "HTTP requests by route and status, milliseconds", ("route", "status")
)
LIMITED = counter("forno_gateway_http_limited_total", "Requests answered 429")
LIMITS_OPEN = counter("forno_gateway_http_limits_open_total", "Requests let through unchecked because Redis was away")

SOCKETS = gauge("forno_gateway_live_sockets", "Open WebSockets", ("kind",))
WATCHED = gauge("forno_gateway_live_orders", "Orders that somebody watches")
REFUSED = counter("forno_gateway_live_refused_total", "WebSockets refused", ("reason",))
KITCHENS = gauge("forno_gateway_live_kitchens", "Kitchens that somebody watches, or watched a moment ago")
KITCHEN_COMMANDS = counter(
    "forno_gateway_live_kitchen_commands_total", "Commands of kitchens: done, or why not", ("outcome",)
)
PUSHES = counter(
    "forno_gateway_live_pushes_total",
    "Positions for sockets, conflated ones included",
)
CONFLATED = counter(
    "forno_gateway_live_conflated_total", "Frames replaced by a newer one before a slow socket took them"
)
RESYNCS = counter(
    "forno_gateway_live_resyncs_total", "Slow sockets that got a new snapshot because too many events were pending"
)
STALE = counter("forno_gateway_live_stale_dropped_total", "Positions dropped", ("why",))
REFRESHES = counter(
    "forno_gateway_live_refreshes_total", "Questions to dispatch or orders about a watched order", ("outcome",)
)
FEED_LOST = counter("forno_gateway_live_feed_lost_total", "Times the Redis subscription broke and was made anew")
#: Age of a fix when its frame is handed to the socket, wall milliseconds; the browser measures the rest of the way.
FIX_TO_SOCKET_MS = histogram("forno_gateway_live_fix_to_socket_ms", "Fix to socket, wall ms", buckets=LATENCY_MS)
