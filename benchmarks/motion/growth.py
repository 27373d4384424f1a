"""CPU a fix from the rider's stream to the customer's socket, from 1,000 to 1,000,000 riders.

A million streams do not fit on a small machine, nor into one process anywhere: an edge process carries some thousands,
a WebSocket process some thousands of sockets, and there are as many of them as it takes. What grows with the city is
the shard. So each hop is measured where it stands, and a fix costs their sum:

    edge     the real process over gRPC, one fix a message, as many streams as riders, at most `STREAMS`
    shard    decode, apply, bucket anew, for all riders in one index
    feed     of those riders a quarter is watched: pick them out of what moved, and encode them for Redis
    push     the real WebSocket process, from Redis's message to the sockets, for that quarter

What is compared is how many riders there are, not how busy the processes are: every edge is offered `PER_EDGE` fixes a
second, by 1,000 streams as by 5,000. (A process that has little to do finds one message where a busy one finds ten, and
a fix costs it more: an edge with 1,000 fixes a second needs 150 us for each, and a seventh of a core in all.) An edge
gathers what comes in its linger into a message, and a read of the shard holds such a message of every edge.

The broker is not in it: it sees messages, not riders, and they get no more a fix as riders get more.
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
from dispatch.engine.model import OrderId
from dispatch.metrics import CityMetrics
from dispatch.shard import wire
from dispatch.shard.adapters.memory import MemoryAnnouncements
from dispatch.shard.live_city import CarriedOrder, LiveCity, WatchedRiders
from dispatch.shard.position_feed import PositionFeed
from node.clock import SystemClock

#: Streams of one edge process at most, and the fixes that it is offered, a second.
STREAMS = 5_000
PER_EDGE = 5_000
#: How long an edge gathers for a message, seconds (`FORNO_EDGE_LINGER_MS`).
LINGER_S = 0.01
#: Fixes in one message of the log.
A_MESSAGE = round(PER_EDGE * LINGER_S)
#: Of the riders, those with an order that somebody watches.
WATCHED = 0.25


def a_read(riders: int) -> int:
    """Fixes in a read of the shard: a message of every edge."""
    return A_MESSAGE * max(1, riders // STREAMS)


def shard_us(riders: int) -> float:
    """CPU microseconds a fix: decode, apply and bucket anew, with all riders in one index."""
    rounds = 1 + max(3, 30_000 // riders)
    load = Load(riders, rounds, A_MESSAGE, a_read(riders) // A_MESSAGE)
    return 1e6 * seconds(load.apply_and_bucket, rounds - 1) / riders


def feed_us(riders: int) -> float:
    """CPU microseconds a fix: picking the watched out of what moved, and their message for Redis."""
    load = Load(riders, 1)
    positions = load.positions
    ids = np.sort(positions.changed_since(0).rider_id)
    watched = ids[:: round(1 / WATCHED)]
    orders = {rider: (CarriedOrder(OrderId(f"0198c0de-{rider:020d}"), 1, True),) for rider in watched.tolist()}
    city = SimpleNamespace(name="bench", epoch=1, watched=WatchedRiders(watched, orders), positions=positions)
    log = structlog.get_logger()
    feed = PositionFeed(cast(LiveCity, city), MemoryAnnouncements(), SystemClock(), CityMetrics("bench"), log)
    feed.applied(ids[:1])  # all whose watching began are told once
    reads = [load.rng.choice(ids, a_read(riders)) for _ in range(100)]

    def publish() -> None:
        for moved in reads:
            feed.applied(moved)
            wire.encode_live("bench", 1, feed.take())

    return 1e6 * seconds(publish, 3) / (len(reads) * a_read(riders))


async def measure(push_us: float, tell: Say) -> dict[str, Any]:
    """Rows by number of riders; `push_us` is the cost of a push."""
    edge_us: dict[int, float] = {}
    for streams in sorted({min(riders, STREAMS) for riders in GROWTH}):
        tell(f"growth: an edge with {streams:,} streams")
        case = edge.Case("growth", 1, streams, 10, 0, PER_EDGE)
        edge_us[streams] = round(1e6 / await edge.rate("edge", case, 8.0), 2)
    rows = []
    for riders in GROWTH:
        tell(f"growth: {riders:,} riders watched")
        parts = {
            "edge": edge_us[min(riders, STREAMS)],
            "shard": round(await asyncio.to_thread(shard_us, riders), 3),
            "feed": round(await asyncio.to_thread(feed_us, riders), 3),
            "push": round(WATCHED * push_us, 3),
        }
        rows.append({"riders": riders, "us_per_fix": parts, "total_us": round(sum(parts.values()), 2)})
    return {"rows": rows, "watched_share": WATCHED, "fixes_a_message": A_MESSAGE, "fixes_a_second_of_an_edge": PER_EDGE}


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """The dearest number of riders beside the cheapest: flat is flat both ways."""
    totals = [row["total_us"] for row in section["rows"]]
    ratio = round(max(totals) / min(totals), 3)
    return (at_most("end to end, 1,000 to 1,000,000 riders", ratio, 1.2, "dearest over cheapest fix"),)
