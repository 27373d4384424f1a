"""Read the age of fixes at each hop to the screen from the histograms that the services export.

rider's send ─> packed, durable (edge) ─> applied, published (shard) ─> socket (gateway) ─> screen
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

#: hop -> the histogram and its label.
HOPS: Mapping[str, tuple[str, str]] = {
    "packed": ("forno_tracking_fix_age_ms", "packed"),
    "durable": ("forno_tracking_fix_age_ms", "durable"),
    "applied": ("forno_dispatch_fix_age_ms", "applied"),
    "published": ("forno_dispatch_fix_age_ms", "published"),
    "socket": ("forno_gateway_live_fix_to_socket_ms", ""),
}

#: Counts by upper bound in milliseconds, cumulative as Prometheus has them.
Buckets = Counter[float]


async def hop_buckets(metrics: Mapping[str, str]) -> dict[str, Buckets]:
    """Ages observed by all services together so far, by hop. A service that does not answer is left out."""
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        texts = await asyncio.gather(*(_text(client, address) for address in metrics.values()))
    found: dict[str, Buckets] = {hop: Counter() for hop in HOPS}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for hop, (name, label) in HOPS.items():
                if family.name == name:
                    _add(found[hop], family, label)
    return found


def percentiles(after: Buckets, before: Buckets | None = None) -> dict[str, float | int | None]:
    """p50 and p99 of what was observed between, laid evenly into its bucket."""
    counts = Counter(after)
    counts.subtract(before or {})
    return {"p50": _quantile(counts, 0.5), "p99": _quantile(counts, 0.99), "samples": counts[float("inf")]}


async def _text(client: httpx.AsyncClient, address: str) -> str:
    try:
        return (await client.get(f"http://{address}/metrics")).text
    except httpx.HTTPError:
        return ""


def _add(buckets: Buckets, family: Any, label: str) -> None:
    for sample in family.samples:
        if sample.name.endswith("_bucket") and sample.labels.get("hop", "") == label:
            buckets[float(sample.labels["le"])] += int(sample.value)


def _quantile(counts: Buckets, share: float) -> float | None:
    wanted = share * counts[float("inf")]
    if wanted <= 0:
        return None
    low, below = 0.0, 0
    for bound in sorted(counts):
        if counts[bound] >= wanted:
            if bound == float("inf"):
                return low
            within = (wanted - below) / max(1, counts[bound] - below)
            return round(low + (bound - low) * within, 1)
        low, below = bound, counts[bound]
    return low
