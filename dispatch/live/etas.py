"""When each carried order should be at its door, as the plans of the riders say now."""

from __future__ import annotations

from collections.abc import Iterable

from dispatch.live.tracks import Eta
from dispatch.model import OrderId, Rider, StopKind

#: The 90th percentile lies this far behind the median: a share of the time left, and at least so many domain ms.
P90_SHARE = 0.35
P90_LEAST_MS = 120_000


def with_p90(median_ms: int, now_ms: int) -> Eta:
    """Median and 90th percentile of an ETA."""
    spread_ms = max(P90_LEAST_MS, round(P90_SHARE * (median_ms - now_ms)))
    return Eta(median_ms, median_ms + spread_ms)


def planned_etas(riders: Iterable[Rider], now_ms: int) -> dict[OrderId, Eta]:
    """ETA of each order in a plan. A rider who is behind its plan is taken to do the next stop just now."""
    etas: dict[OrderId, Eta] = {}
    for rider in riders:
        if not rider.stops:
            continue
        late_ms = max(0, now_ms - rider.stops[0].done_ms)
        for stop in rider.stops:
            if stop.kind is StopKind.DROP:
                eta = with_p90(stop.done_ms + late_ms, now_ms)
                etas.update((order_id, eta) for order_id in stop.order_ids)
    return etas
