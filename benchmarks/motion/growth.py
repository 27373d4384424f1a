"""CPU a fix from the rider's stream to the customer's socket, from 1,000 to 1,000,000 riders.

A million streams do not fit on a small machine, nor into one process anywhere: an edge process carries some thousands,
a WebSocket process some thousands of sockets, and there are as many of them as it takes. What grows with the city is
the shard. So each hop is measured where it stands, and a fix costs their sum:

    edge     the real process over gRPC, one fix a message, as many streams as riders, at most `STREAMS`
    shard    decode, apply, bucket anew, for all riders in one index
    feed     of those riders a quarter is watched: pick them out of what moved, and encode them for Redis
    push     the real WebSocket process, from Redis's message to the sockets, for that quarter

The broker is not in it: it sees messages, not riders, and they get fewer a fix as riders get more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import structlog

from benchmarks.micro.timing import seconds
from benchmarks.motion import edge
from benchmarks.motion.index import GROWTH, Load
from benchmarks.record import Figure, Say, at_most
from dispatch.adapters import wire
from dispatch.adapters.memory import MemoryAnnouncements
from dispatch.live.city import Carried, City, Watched
from dispatch.live.feed import LiveFeed
from dispatch.metrics import CityMetrics
from dispatch.model import OrderId
from node.clock import SystemClock

#: Streams of one edge process at most.
STREAMS = 5_000
#: Of the riders, those with an order that somebody watches.
WATCHED = 0.25
#: Fixes in a message of Redis.
_A_READ = 256


def feed_us(riders: int) -> float:
    """CPU microseconds a fix: picking the watched out of what moved, and their message for Redis."""
    load = Load(riders, 1)
    positions = load.positions
    ids = np.sort(positions.changed_since(0).rider_id)
    watched = ids[:: round(1 / WATCHED)]
    orders = {rider: (Carried(OrderId(f"0198c0de-{rider:020d}"), 1, True),) for rider in watched.tolist()}
    city = SimpleNamespace(name="bench", epoch=1, watched=Watched(watched, orders), positions=positions)
    log = structlog.get_logger()
    feed = LiveFeed(cast(City, city), MemoryAnnouncements(), SystemClock(), CityMetrics("bench"), log)
    feed.applied(ids[:1])  # all whose watching began are told once
    reads = [load.rng.choice(ids, _A_READ) for _ in range(100)]

    def told() -> None:
        for moved in reads:
            feed.applied(moved)
            wire.encode_live("bench", 1, feed.take())

    return 1e6 * seconds(told, 3) / (len(reads) * _A_READ)


async def measure(index: Sequence[dict[str, float]], push_us: float, tell: Say) -> dict[str, Any]:
    """Rows by number of riders; `index` is the growth of the index, `push_us` the cost of a push."""
    edge_us: dict[int, float] = {}
    for streams in sorted({min(riders, STREAMS) for riders in GROWTH}):
        tell(f"growth: an edge with {streams:,} streams")
        case = edge.Case("growth", 1, streams, 10, 0)
        edge_us[streams] = round(1e6 / await edge.rate("edge", case, 3.0), 2)
    rows = []
    for row in index:
        riders = int(row["riders"])
        tell(f"growth: {riders:,} riders watched")
        parts = {
            "edge": edge_us[min(riders, STREAMS)],
            "shard": round(row["apply_and_bucket_ns"] / 1000, 3),
            "feed": round(await asyncio.to_thread(feed_us, riders), 3),
            "push": round(WATCHED * push_us, 3),
        }
        rows.append({"riders": riders, "us_per_fix": parts, "total_us": round(sum(parts.values()), 2)})
    return {"rows": rows, "watched_share": WATCHED}


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """How much dearer a fix gets on the way up, against the fewest riders. Cheaper is no fault: an edge that has more
    streams finds more of their messages each time it looks."""
    fewest, *more = [row["total_us"] for row in section["rows"]]
    dearer = round(max(more) / fewest, 3)
    return (at_most("end to end, 1,000 to 1,000,000 riders", dearer, 1.2, "times dearer a fix"),)
