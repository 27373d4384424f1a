"""Cost of one unit of work on this machine: CPU and bytes, measured by the benches' own code, each shortly."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np
from bson import BSON

from benchmarks.dispatch.ticks import measure_ticks
from benchmarks.motion import edge, growth, index, pushes
from benchmarks.orders import cli as orders
from benchmarks.scale.rows import RowBytes
from dispatch.trails.minute_documents import chunks, packed
from node.tokens import TokenSigner, create_keys
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes

Say = Callable[[str], None]

#: Open orders of the measured ticks, and rounds of each.
TICK_ORDERS, TICK_ROUNDS = (50, 100, 200, 300, 400, 500, 700, 1_000), 15
_NOON_MS = 1_760_000_000_000


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU microseconds and bytes by unit; ticks in milliseconds by open orders."""

    edge_us_a_fix: float
    shard_us_a_fix: float
    feed_us_a_fix: float
    push_us: float
    push_bytes: float
    tick_ms: dict[str, float]
    order_cpu_ms: dict[str, float]
    fix_log_bytes: float
    event_log_bytes: float
    #: Of dispatch in Postgres: written to its log, and kept in tables and indexes.
    order_written_bytes: float
    order_kept_bytes: float
    tick_written_bytes: float
    tick_kept_bytes: float
    redis_bytes_a_rider: float
    trail_bytes_a_rider_minute: float

    def __post_init__(self) -> None:
        """Raises `ValueError` where a tick of more orders costs less: nothing follows of such figures."""
        costs_ms = [self.tick_ms[n] for n in sorted(self.tick_ms, key=int)]
        if costs_ms != sorted(costs_ms):
            raise ValueError(f"ticks of more orders cost less: {self.tick_ms}")


async def measure_costs(tell: Say, rows: RowBytes) -> Costs:
    """Some two minutes on a quiet machine."""
    tell("edge")
    edge_rate = await edge.rate("edge", edge.Case("scale", 1, 200, 10, 0), 2.0)
    tell("shard")
    shard = index.grown(100_000)
    tell("feed")
    feed_us = growth.feed_us(100_000)
    tell("pushes")
    with tempfile.TemporaryDirectory() as folder:
        create_keys(Path(folder) / "key.pem", Path(folder) / "jwks.json")
        push = await pushes.measure_one("live", Path(folder), TokenSigner(Path(folder) / "key.pem"), 2.0)
    tell("ticks")
    ticks = tick_costs()
    tell("orders")
    _, sections = await orders.measure(3, "placing")
    placed = sections["placing"]
    tell("bytes")
    return Costs(
        edge_us_a_fix=round(1e6 / edge_rate, 2),
        shard_us_a_fix=round(shard["apply_and_bucket_ns"] / 1000, 3),
        feed_us_a_fix=round(feed_us, 3),
        push_us=push["us_a_push"],
        push_bytes=push["bytes_a_push"],
        tick_ms=ticks,
        order_cpu_ms=placed["at_rate"]["cpu_ms_per_order"],
        fix_log_bytes=round(fix_bytes(64), 1),
        event_log_bytes=float(event_bytes()),
        order_written_bytes=rows.order_written,
        order_kept_bytes=rows.order_kept,
        tick_written_bytes=rows.tick_written,
        tick_kept_bytes=rows.tick_kept,
        redis_bytes_a_rider=redis_bytes(),
        trail_bytes_a_rider_minute=float(trail_bytes()),
    )


def tick_costs() -> dict[str, float]:
    """CPU milliseconds of a tick by open orders: the dearest of the measured cities of up to so many, each the median.

    Where bundles compete, the exact search makes a tick several times as dear, in a small city as in a big one. Which
    city that happens to is chance, so each size is planned with the dearest up to it.
    """
    medians = (measure_ticks(n, TICK_ROUNDS, peers=1).tick_cpu_p50_ms for n in TICK_ORDERS)
    return dict(zip(map(str, TICK_ORDERS), accumulate(medians, max), strict=True))


def _fixes(riders: int, seconds: int) -> FixColumns:
    """A fix a second of each rider, who rides."""
    n = riders * seconds
    rng = np.random.default_rng(1)
    at = np.arange(n)
    return FixColumns(
        rider_id=(at // seconds + 1_000_000).astype(np.uint64),
        session=np.full(n, _NOON_MS, np.uint64),
        seq=(at % seconds + 1).astype(np.uint64),
        ts_ms=_NOON_MS + 1000 * (at % seconds),
        lat_e7=(-299_000_000 + rng.integers(-500_000, 500_000, n)).astype(np.int32),
        lng_e7=(-712_000_000 + rng.integers(-500_000, 500_000, n)).astype(np.int32),
        accuracy_dm=rng.integers(30, 120, n).astype(np.uint16),
        heading_cdeg=rng.integers(0, 36_000, n).astype(np.uint16),
        speed_cms=rng.integers(0, 1_500, n).astype(np.uint16),
        flags=np.zeros(n, np.uint8),
    )


def fix_bytes(batch: int) -> float:
    """Bytes a fix in rider.pings, so many in a message, before Kafka's compression."""
    return len(encode_fixes("la-serena", _fixes(batch, 1), "edge-1", _NOON_MS)) / batch


def event_bytes() -> int:
    """Bytes of what a city hears in an order's life: opened, answered, picked up, delivered."""
    at = LatLng(lat_e7=-299_027_000, lng_e7=-712_520_000)
    order_id = "0198c0de-0000-7000-8000-000000000001"
    opened = city_event_pb2.OrderOpened(
        order_id=order_id,
        restaurant_id="trattoria-da-mario",
        pickup=at,
        dropoff=at,
        placed_ms=_NOON_MS,
        ready_ms=_NOON_MS,
        promised_ms=_NOON_MS,
        items=2,
    )
    said = city_event_pb2.RiderStatusChanged(rider_id=1 << 60, session=_NOON_MS)
    said.status.order_id, said.status.ts_ms, said.status.seq = order_id, _NOON_MS, 1_000
    said.status.status = 4  # type: ignore[assignment]
    head = {"event_id": "1152921504606846976-1760000000000-1000", "city": "la-serena", "sent_wall_ms": _NOON_MS}
    events = [city_event_pb2.CityEvent(**head, order_opened=opened)] + 3 * [  # type: ignore[arg-type]
        city_event_pb2.CityEvent(**head, rider_status=said)  # type: ignore[arg-type]
    ]
    return sum(event.ByteSize() for event in events)


def redis_bytes() -> float:
    """Bytes of Redis a rider in a city's GEO view."""
    riders = 20_000
    with index.redis_server() as (client, _):
        pipe = client.pipeline(transaction=False)
        for rider in range(riders):
            pipe.geoadd("geo:city", [-71.25 + rider * 1e-6, -29.9, rider + 10**12])
            pipe.hset("geo:city:ts", str(rider + 10**12), str(_NOON_MS))
        pipe.execute()
        used = sum(int(client.memory_usage(key, samples=0) or 0) for key in ("geo:city", "geo:city:ts"))
    return round(used / riders, 1)


def trail_bytes() -> int:
    """Bytes of a rider-minute at a fix a second in MongoDB, before its compression."""
    fixes = _fixes(1, 60)
    columns = [packed(chunk) for _, chunk in chunks(fixes)]
    document = {"_id": "la-serena/1000000/29333333", "city": "la-serena", "rider_id": "1000000", "n": 60}
    return sum(len(BSON.encode({**document, "columns": column})) for column in columns)
