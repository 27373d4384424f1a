"""The speed half of the benchmark: ticks, matchers, stacked routes, exact packing, the event loop beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from benchmarks.dispatch.exact import JUDGED, Packed, samples
from benchmarks.dispatch.loop import LoopFigures, measure_loop
from benchmarks.dispatch.stacked import Stacked, compare
from benchmarks.dispatch.ticks import TickFigures, measure_ticks
from benchmarks.record import Figure, Say, at_most

SIZES = (300, 3_000, 10_000)
ROUNDS = {300: 60, 3_000: 60, 10_000: 15}
TARGET_SIZE = 3_000
LOOP_S = 20.0

TICK_P95_MS = 150.0
OVER_PCT = 1.0
LONGEST_CPU_MS = 20.0


@dataclass(frozen=True, slots=True)
class Speed:
    """All that was timed."""

    ticks: tuple[TickFigures, ...]
    stacked: tuple[Stacked, ...]
    exact: tuple[Packed, ...]
    loop: LoopFigures


def measure(say: Say) -> Speed:
    """Everything, one after the other; some minutes."""
    ticks = []
    for orders in SIZES:
        say(f"ticks of {orders} open orders …")
        ticks.append(measure_ticks(orders, ROUNDS[orders], peers=3 if orders <= TARGET_SIZE else 1))
        say(_tick_line(ticks[-1]))
    say("the event loop beside the ticks …")
    loop = measure_loop(TARGET_SIZE, LOOP_S)
    say(
        f"  {loop.callbacks} callbacks, the longest {loop.longest_cpu_ms} ms of CPU; wall p99.9 {loop.wall_p999_ms} ms;"
        f" {loop.ticks} ticks, p95 {loop.tick_p95_ms} ms with the worker and the commit;"
        f" longest callback of the first tick {loop.first_longest_cpu_ms} ms of CPU"
    )
    say("stacked routes …")
    stacked = []
    for found in compare():
        stacked.append(found)
        say(
            f"  {found.orders} orders, {found.riders} riders: {found.solver:<16} {found.ms:8.1f} ms"
            f"  cost {found.cost:9.1f}  under way {found.under_way_s:8.1f} s"
        )
    say("bundled samples beside the exact packing …")
    exact = []
    for packed in samples():
        exact.append(packed)
        say(
            f"  {packed.kind}, {packed.orders} orders, {packed.riders} riders: {packed.gap_pct:+.3f} %"
            f" ({'proven' if packed.proven else 'NOT proven'}; ours {packed.ours_ms} ms, exact {packed.exact_ms} ms)"
        )
    return Speed(tuple(ticks), tuple(stacked), tuple(exact), loop)


def _tick_line(t: TickFigures) -> str:
    peers = ", ".join(f"{m.name} {m.cpu_ms} ms" for m in t.matchers)
    over = "" if t.cost_over_dense_pct is None else f"; candidates cost {t.cost_over_dense_pct:+.4f} % over every pair"
    return (
        f"  {t.orders} orders, {t.riders} riders, {t.travel}: p50 {t.tick_p50_ms} p95 {t.tick_p95_ms} ms wall,"
        f" {t.tick_cpu_p95_ms} ms CPU; up to the decisions p95 {t.decisions_p95_ms} ms\n"
        f"    inputs {t.hear_p50_ms}, pose {t.pose_p50_ms}, solve {t.solve_p50_ms}, decide {t.decide_p50_ms},"
        f" ETAs {t.etas_p50_ms}, tracks {t.tracks_p50_ms}\n"
        f"    single orders: {peers}{over}"
    )


def figures(speed: Speed) -> list[Figure]:
    """Every target of this half."""
    tick = speed.ticks[SIZES.index(TARGET_SIZE)]
    dense = tick.of("scipy dense")
    over = max(t.cost_over_dense_pct for t in speed.ticks if t.cost_over_dense_pct is not None)
    return [
        at_most(
            f"tick of {TARGET_SIZE} orders, p95",
            tick.tick_p95_ms,
            TICK_P95_MS,
            "ms",
            dense.cpu_ms if dense else None,
            "scipy dense, the matching alone",
        ),
        Figure(f"tick of {TARGET_SIZE} orders up to its decisions, p95", tick.decisions_p95_ms, "ms"),
        at_most("single orders, cost over the dense optimum", over, OVER_PCT, "%"),
        at_most("bundled samples, cost over exact packing", round(_worst(speed, JUDGED), 4), OVER_PCT, "%"),
        at_most(
            "bundled samples whose exact packing is not proven", sum(not p.proven for p in speed.exact), 0, "of all"
        ),
        at_most(
            f"loop beside {TARGET_SIZE} orders, longest callback's CPU", speed.loop.longest_cpu_ms, LONGEST_CPU_MS, "ms"
        ),
    ]


def _worst(speed: Speed, kind: str) -> float:
    return max(p.gap_pct for p in speed.exact if p.kind == kind)


def _gaps(speed: Speed) -> dict[str, object]:
    """Percent over the exact packing by kind of sample: mean and worst."""
    of: dict[str, list[float]] = {}
    for packed in speed.exact:
        of.setdefault(packed.kind, []).append(packed.gap_pct)
    return {k: {"mean": round(sum(g) / len(g), 4), "worst": round(max(g), 4), "samples": len(g)} for k, g in of.items()}


def summary(speed: Speed) -> dict[str, object]:
    """Flat figures for the report's summary."""
    tick = speed.ticks[SIZES.index(TARGET_SIZE)]
    return {
        "tick_orders": tick.orders,
        "tick_riders": tick.riders,
        "tick_p50_ms": tick.tick_p50_ms,
        "tick_p95_ms": tick.tick_p95_ms,
        "tick_cpu_p95_ms": tick.tick_cpu_p95_ms,
        "decisions_p50_ms": tick.decisions_p50_ms,
        "decisions_p95_ms": tick.decisions_p95_ms,
        "decisions_cpu_p95_ms": tick.decisions_cpu_p95_ms,
        "travel_model": tick.travel,
        "cost_over_dense_pct": tick.cost_over_dense_pct,
        "cost_over_exact_pct": round(_worst(speed, JUDGED), 4),
        "cost_over_exact_pct_by_kind": _gaps(speed),
        "longest_callback_cpu_ms": speed.loop.longest_cpu_ms,
        "first_tick_longest_callback_cpu_ms": speed.loop.first_longest_cpu_ms,
        "callback_wall_p999_ms": speed.loop.wall_p999_ms,
        "live_tick_p95_ms": speed.loop.tick_p95_ms,
    }


def as_plain(speed: Speed) -> dict[str, object]:
    """All of it for the report."""
    exact = [asdict(p) | {"gap_pct": round(p.gap_pct, 4)} for p in speed.exact]
    return {
        "ticks": [asdict(t) for t in speed.ticks],
        "stacked": [asdict(s) for s in speed.stacked],
        "exact": exact,
        "loop": asdict(speed.loop),
    }
