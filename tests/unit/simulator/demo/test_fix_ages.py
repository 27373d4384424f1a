"""Percentiles from the services' histograms."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, Histogram, start_http_server

from simulator.demo.facts.fix_ages import hop_buckets, percentiles

INF = float("inf")


@pytest.mark.parametrize(
    ("label", "buckets", "p50", "p99"),
    [
        ("all in one bucket", {10.0: 0, 20.0: 100, INF: 100}, 15.0, 19.9),
        ("half and half", {10.0: 50, 20.0: 100, INF: 100}, 10.0, 19.8),
        ("beyond the last bound", {10.0: 0, INF: 5}, 10.0, 10.0),
        ("nothing", {10.0: 0, INF: 0}, None, None),
    ],
)
def test_percentiles(label: str, buckets: dict[float, int], p50: float | None, p99: float | None) -> None:
    """Observations lie evenly in their bucket; what is beyond all bounds counts as the last of them."""
    found = percentiles(Counter(buckets))
    assert (found["p50"], found["p99"], found["samples"]) == (p50, p99, buckets[INF]), label


def test_only_what_came_between_counts() -> None:
    """What was there before is taken off."""
    before = Counter({10.0: 90, 20.0: 90, INF: 90})
    assert percentiles(Counter({10.0: 90, 20.0: 100, INF: 100}), before) == {"p50": 15.0, "p99": 19.9, "samples": 10}


async def test_services_are_added_up_and_dead_ones_left_out() -> None:
    """Two shards' ages at a hop are one distribution; an address where nobody answers is nobody's."""
    registries = [CollectorRegistry() for _ in range(2)]
    for registry in registries:
        histogram = Histogram("forno_dispatch_fix_age_ms", "", ["city", "hop"], buckets=(10, 20), registry=registry)
        histogram.labels("a", "applied").observe(15)
        histogram.labels("b", "applied").observe(5)
        histogram.labels("a", "published").observe(50)
    servers = [start_http_server(0, addr="127.0.0.1", registry=registry)[0] for registry in registries]
    addresses = {f"shard-{n}": f"127.0.0.1:{server.server_port}" for n, server in enumerate(servers)}
    try:
        found = await hop_buckets({**addresses, "gone": "127.0.0.1:1"})
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert found["applied"] == {10.0: 2, 20.0: 4, INF: 4}
    assert found["published"][INF] == 2
    assert not found["socket"]
