"""The shard's index on one core, beside Redis: fixes applied, riders bucketed anew, the nearest riders of many places.

Fixes come as messages of `rider.pings`: one a rider and round, riders in random order, ids over the whole range of u64.
Redis is a server of its own, asked in pipelines; only the CPU of its process counts, not that of its client.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from subprocess import DEVNULL, Popen
from typing import Any

import numpy as np
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from benchmarks.micro.timing import seconds
from benchmarks.motion.place import CITY
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, Say, at_least, at_most
from deploy.stack.servers.redis import find
from dispatch.positions import RiderPositions
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes, encode_fixes

#: Fixes in one message where fixes a second are counted: what an edge puts into one at most.
MESSAGE = 8192
#: The riders that the targets speak of, and those that the index grows through.
RIDERS = 100_000
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
#: Places asked about in one go, and between two refreshes (one a second, a tick).
AT_ONCE = 1_000
A_TICK = 100_000
_LAT = (-300_500_000, -298_000_000)
_LNG = (-713_500_000, -710_500_000)
#: Commands in one pipeline, members in one GEOADD.
_PIPELINE, _MEMBERS = 100, 1000
_QUERIES = 2_000
#: A radius for somebody who does not know how thick riders are, metres.
AMPLE_M = 1_000
#: Redis's earth is a little larger than ours, and its places are rounded to 52 bits (0.6 m).
_REDIS_SPHERE = 1.01

Round = list[bytes]


def one_round(rng: np.random.Generator, ids: np.ndarray, seq: int, size: int) -> Round:
    """A fix of every rider, anywhere in a city of 28 by 29 km, as messages of so many fixes."""
    fixes = FixColumns.zeros(len(ids))
    fixes.rider_id[:] = rng.permutation(ids)
    fixes.session[:] = 1_700_000_000_000
    fixes.seq[:] = seq
    fixes.ts_ms[:] = 1000 * seq
    fixes.lat_e7[:] = rng.integers(*_LAT, len(ids))
    fixes.lng_e7[:] = rng.integers(*_LNG, len(ids))
    cuts = [np.arange(at, min(at + size, len(ids))) for at in range(0, len(ids), size)]
    return [encode_fixes(CITY, fixes.take(cut), "bench", 0) for cut in cuts]


def _decoded(message: bytes) -> FixColumns:
    decoded = decode_fixes(message, CITY)
    assert decoded is not None
    return decoded[0]


class Load:
    """An index and the rounds that it is still to get, in messages of so many fixes, so many of them in a read."""

    def __init__(self, riders: int, rounds: int, message: int = MESSAGE, messages_a_read: int = 1) -> None:
        self._messages_a_read = messages_a_read
        self.rng = np.random.default_rng(0)
        ids = self.rng.integers(1, 2**63, riders).astype(np.uint64)
        self.rounds = iter([one_round(self.rng, ids, seq, message) for seq in range(1, rounds + 1)])
        self.positions = RiderPositions()
        self.apply()
        self.positions.snapshot(now_ms=60_000)

    def apply(self) -> None:
        """One round: decode and apply."""
        messages = next(self.rounds)
        for at in range(0, len(messages), self._messages_a_read):
            read = messages[at : at + self._messages_a_read]
            self.positions.apply(FixColumns.concat([_decoded(message) for message in read]))

    def apply_and_bucket(self) -> None:
        """One round, and all who moved are bucketed anew."""
        self.apply()
        self.positions.snapshot(now_ms=60_000)

    def places(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Places anywhere in the city."""
        return self.rng.integers(*_LAT, count), self.rng.integers(*_LNG, count)


def grown(riders: int) -> dict[str, float]:
    """Nanoseconds a fix and microseconds a place with so many riders."""
    tries = 3 if riders >= RIDERS else 5
    repeat = max(1, 4_000 // riders)
    load = Load(riders, 1 + 2 * tries * repeat)

    def times(work: Any) -> float:
        return seconds(lambda: [work() for _ in range(repeat)], tries) / repeat

    apply_s, cells_s = times(load.apply), times(load.apply_and_bucket)
    snapshot = load.positions.snapshot(now_ms=60_000)
    lat, lng = load.places(AT_ONCE)
    nearest_s = seconds(lambda: snapshot.nearest(lat, lng, 10))
    return {
        "riders": riders,
        "apply_ns": round(1e9 * apply_s / riders, 1),
        "apply_and_bucket_ns": round(1e9 * cells_s / riders, 1),
        "nearest_us": round(1e6 * nearest_s / AT_ONCE, 3),
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """Riders with their places, and places asked about: 1e-7 degrees."""

    rider_lat_e7: np.ndarray
    rider_lng_e7: np.ndarray
    lat_e7: np.ndarray
    lng_e7: np.ndarray
    #: The least radius within which each of the places has ten riders.
    radius_m: float


def nearest_under_load(riders: int = RIDERS, places: int = A_TICK) -> tuple[float, Asked]:
    """CPU microseconds a place: each second `riders` fixes land, one refresh, then the places in batches.

    Landing the fixes is the other figure; the refresh that they cause is counted here.
    """
    load = Load(riders, 5)
    lat, lng = load.places(places)
    best_s = float("inf")
    for _ in range(3):
        load.apply()
        tenths_m = []
        begun = time.process_time()
        snapshot = load.positions.snapshot(now_ms=60_000)
        for at in range(0, places, AT_ONCE):
            found = snapshot.nearest(lat[at : at + AT_ONCE], lng[at : at + AT_ONCE], 10)
            tenths_m.append(found.distance_m[:, -1])
        best_s = min(best_s, time.process_time() - begun)
    columns = snapshot.columns
    asked = Asked(columns.lat_e7, columns.lng_e7, lat, lng, float(np.concatenate(tenths_m).max()))
    return 1e6 * best_s / places, asked


@contextmanager
def redis_server() -> Iterator[tuple[Redis, int]]:
    """A Redis of our own: a client, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    program = find()[0]
    with tempfile.TemporaryDirectory() as folder:
        words = [str(program.path), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process = Popen(words, cwd=folder, stdout=DEVNULL)
        client = Redis(port=port)
        try:
            for _ in range(100):
                try:
                    client.ping()
                    break
                except RedisAway:
                    time.sleep(0.05)
            yield client, process.pid
        finally:
            client.close()
            process.kill()
            process.wait()


def redis_peer(asked: Asked) -> dict[str, float]:
    """Server CPU of the same work in Redis: microseconds a position, and a search.

    GEOSEARCH wants a radius, which ours does not. It gets a round one, as somebody takes who does not know how thick
    riders are; and, to be told beside, the least that is enough for all the places, which only somebody knows who has
    asked already.
    """
    rng = np.random.default_rng(0)
    riders = len(asked.rider_lat_e7)
    rounds = [(rng.integers(*_LAT, riders), rng.integers(*_LNG, riders)) for _ in range(2)]
    radius_m = ceil(asked.radius_m * _REDIS_SPHERE)
    with redis_server() as (client, pid):
        spent: list[float] = []
        for lat, lng in [*rounds, (asked.rider_lat_e7, asked.rider_lng_e7)]:
            columns = zip((lng * 1e-7).tolist(), (lat * 1e-7).tolist(), range(riders), strict=True)
            words = [word for row in columns for word in row]
            begun = cpu_s(pid)
            pipe = client.pipeline(transaction=False)
            for at in range(0, len(words), 3 * _MEMBERS):
                pipe.geoadd("geo", words[at : at + 3 * _MEMBERS])
            pipe.execute()
            spent.append(cpu_s(pid) - begun)
        best_us, ample_us = (
            min(_searches(client, pid, asked, radius) for _ in range(3)) for radius in (radius_m, AMPLE_M)
        )
    return {
        "geoadd_us": round(1e6 * min(spent[1:]) / riders, 3),
        "geosearch_us": round(best_us, 1),
        "geosearch_radius_m": radius_m,
        "geosearch_1km_us": round(ample_us, 1),
    }


def _searches(client: Redis, pid: int, asked: Asked, radius_m: float) -> float:
    """Server CPU microseconds of a search for the ten nearest. Raises `ValueError` if a place has fewer."""
    lng, lat = (asked.lng_e7[:_QUERIES] * 1e-7).tolist(), (asked.lat_e7[:_QUERIES] * 1e-7).tolist()
    begun = cpu_s(pid)
    for at in range(0, _QUERIES, _PIPELINE):
        pipe = client.pipeline(transaction=False)
        for x, y in zip(lng[at : at + _PIPELINE], lat[at : at + _PIPELINE], strict=True):
            pipe.geosearch("geo", longitude=x, latitude=y, radius=radius_m, unit="m", sort="ASC", count=10)
        if any(len(found) < 10 for found in pipe.execute()):
            raise ValueError(f"{radius_m} m are too few for ten riders")
    return 1e6 * (cpu_s(pid) - begun) / _QUERIES


def measure(tell: Say) -> dict[str, Any]:
    """Everything, in this process."""
    growth = []
    for riders in GROWTH:
        tell(f"index: {riders:,} riders")
        growth.append(grown(riders))
    tell("index: nearest while fixes land")
    nearest_us, asked = nearest_under_load()
    tell("index: Redis")
    peer = redis_peer(asked)
    load = os.getloadavg()[0]
    return {"growth": growth, "nearest_under_load_us": round(nearest_us, 3), "redis": peer, "load_average": load}


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """Rates and ratios at 100,000 riders, and how the index alone grows."""
    rows = {row["riders"]: row for row in section["growth"]}
    row, redis = rows[RIDERS], section["redis"]
    apply_rate, cells_rate = 1e9 / row["apply_ns"], 1e9 / row["apply_and_bucket_ns"]
    redis_rate = 1e6 / redis["geoadd_us"]
    nearest_us = section["nearest_under_load_us"]
    ample_us, least_us, least_m = redis["geosearch_1km_us"], redis["geosearch_us"], redis["geosearch_radius_m"]
    grown_by = rows[GROWTH[-1]]["apply_and_bucket_ns"] / min(each["apply_and_bucket_ns"] for each in rows.values())
    return (
        at_least("index, fixes applied", round(apply_rate), 5e6, "fixes/CPU s", round(redis_rate), "Redis GEOADD"),
        at_least("index, bucketed anew", round(cells_rate), 2e6, "fixes/CPU s", round(redis_rate), "Redis GEOADD"),
        at_least("index, bucketed anew against GEOADD", round(cells_rate / redis_rate, 1), 4, "times Redis"),
        at_most("nearest 10 of 100,000, fixes landing", nearest_us, 5, "us", ample_us, "Redis GEOSEARCH 1 km"),
        at_least("nearest 10 against GEOSEARCH 1 km", round(ample_us / nearest_us, 1), 40, "times faster"),
        Figure(f"nearest 10 against GEOSEARCH {least_m} m, its best", round(least_us / nearest_us, 1), "times faster"),
        at_most("index alone, 1,000 to 1,000,000 riders", round(grown_by, 2), 2.5, "times dearer a fix"),
    )


async def run(tell: Say) -> dict[str, Any]:
    """Run the measurement in a thread, so that the caller's loop stays alive."""
    return await asyncio.to_thread(measure, tell)
