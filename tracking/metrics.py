"""Every metric of the edge. Counted once a group of batches, never once a fix."""

from __future__ import annotations

from node.telemetry import counter, gauge, histogram

STREAMS = gauge("forno_tracking_streams", "streams that are open")
SESSIONS = counter("forno_tracking_sessions_total", "sessions issued")
STREAMS_REFUSED = counter("forno_tracking_streams_refused_total", "streams that got no session", ["reason"])
FIXES_RECEIVED = counter("forno_tracking_fixes_received_total", "fixes received in batches of the right form")
FIXES_DURABLE = counter("forno_tracking_fixes_durable_total", "fixes the log has")
FIXES_JUMPED = counter("forno_tracking_fixes_jumped_total", "fixes marked as an impossible jump")
EVENTS_DURABLE = counter("forno_tracking_events_durable_total", "replies and statuses the log has")
REFUSED = counter("forno_tracking_messages_refused_total", "messages refused", ["reason"])
APPENDS_FAILED = counter("forno_tracking_appends_failed_total", "appends to the log that are tried again")
DURABLE_MS = histogram("forno_tracking_durable_ms", "packing of a group of fixes to its durability, wall milliseconds")
#: Of each group of fixes one is observed: its age since the rider sent it.
FIX_AGE_MS = histogram(
    "forno_tracking_fix_age_ms", "age of a fix when the edge has packed it, or the log has it", ["hop"]
)
HELD_BACK = counter("forno_tracking_held_back_total", "times a stream was not read because too much waited")
OFFERS_SENT = counter("forno_tracking_offers_sent_total", "offers sent to riders, repeats included")
OWNER_AWAY = counter("forno_tracking_owner_away_total", "questions a city's owner did not answer")
