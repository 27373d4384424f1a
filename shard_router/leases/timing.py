"""Durations and limits of leases, claims, shadows and reloads. Wall seconds."""

from __future__ import annotations

LEASE_S = 3.0
#: A shard stops deciding this much before its lease runs out by its own count.
MARGIN_S = 0.3
BEAT_EVERY_S = 0.8
#: A renewal that takes longer than this is given up and tried again.
BEAT_TIMEOUT_S = 1.0
#: The shortest pause between two heartbeats.
RETRY_S = 0.1

#: The next shard in line waits this long before it tries a city that the first one has not claimed.
PATIENCE_S = 0.5
#: Shards whose leases begin less than this apart share unowned cities: each waits this long after the last of them.
START_GAP_S = 1.5
#: A shard waits no longer than this for others, neither for those that keep arriving nor for those expected.
START_WAIT_S = 15.0

#: Cities that a shard follows as a shadow at a time; the next ones wait. Bounds what moves may cost in memory.
SHADOWS = 4
#: A shadow that is not warm by then is given up, and its move with it.
WARM_S = 120.0
#: Before a shadow that could not be begun is tried again.
SHADOW_RETRY_S = 0.5

#: Before a shard claims a city again that it could not take: the first time, and at most. Longer than `PATIENCE_S`: the
#: next shard in line has its turn first.
TAKE_PAUSE_S = (0.6, 5.0)

#: Before a city is loaded again whose parts failed: the first time, and at most.
RELOAD_PAUSE_S = (0.2, 5.0)
#: A city that ran so long is sound: when a part fails later, failures are counted anew.
SOUND_S = 60.0
#: So many failures without a sound run between them are mended here; after one more the city is left to others.
FAILURES = 5
#: A city that could not be run is not claimed again by the same shard for this long.
SHUN_S = 10.0
#: How long a new owner waits for its first tick before it tells nothing of it.
FIRST_TICK_S = 30.0
