"""Time and gap against size, as a PNG beside the report. matplotlib is a benchmark's dependency only."""

from __future__ import annotations

from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

from benchmarks.dispatch.speed import Speed


def plot(speed: Speed, file: Path) -> bool:
    """Draw it; False if matplotlib is not there (`make bench` installs it)."""
    if find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (times, gaps) = pyplot.subplots(1, 2, figsize=(12, 5))
    sizes = [t.orders for t in speed.ticks]
    times.plot(sizes, [t.tick_p95_ms for t in speed.ticks], "o-", label="whole tick, p95", linewidth=2.5)
    times.plot(sizes, [t.tick_p50_ms for t in speed.ticks], "o--", label="whole tick, p50")
    times.plot(sizes, [t.decisions_p95_ms for t in speed.ticks], "o:", label="up to the decisions, p95")
    by_name: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for tick in speed.ticks:
        for matcher in tick.matchers:
            by_name[matcher.name].append((tick.orders, max(0.1, matcher.cpu_ms)))
    for name, points in sorted(by_name.items()):
        times.plot(*zip(*points, strict=True), "s:", label=f"single orders: {name}")
    times.axhline(150, color="grey", linewidth=0.8)
    times.set(xscale="log", yscale="log", xlabel="open orders", ylabel="milliseconds", title="Time")
    times.legend(fontsize=8)
    dense = [(t.orders, t.cost_over_dense_pct) for t in speed.ticks if t.cost_over_dense_pct is not None]
    gaps.plot(*zip(*dense, strict=True), "o-", label="single orders, over every pair")
    gaps.plot(
        [p.orders for p in speed.exact], [p.gap_pct for p in speed.exact], "x", label="bundles, over exact packing"
    )
    gaps.axhline(1, color="grey", linewidth=0.8)
    gaps.set(xscale="log", xlabel="open orders", ylabel="cost above the optimum, %", title="Gap")
    gaps.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    return True
