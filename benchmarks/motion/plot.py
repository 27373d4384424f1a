"""The plot of a run: how a fix's cost grows with the riders, how old fixes are on screens, where the CPU goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

mpl.use("Agg")
_HOPS = ("edge", "shard", "feed", "push")
_BROKERS = ("apache", "embedded")


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the PNG; parts that were not measured are left empty."""
    figure, (growth, ages, cpu) = plt.subplots(1, 3, figsize=(16, 4.6))
    if "growth" in report:
        _growth(growth, report["growth"]["rows"])
    for broker in _BROKERS:
        if broker in report:
            _ages(ages, broker, report[broker]["screen"])
            _cpu(cpu, broker, report[broker]["cpu_us_per_fix"])
    for axes in (ages, cpu):
        if axes.has_data():
            axes.legend()
    figure.suptitle(f"forno bench motion, {report['commit'][:10]}, {report['machine']['cpus']} CPUs")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _growth(axes: Any, rows: list[dict[str, Any]]) -> None:
    riders = [row["riders"] for row in rows]
    parts = [[row["us_per_fix"][hop] for row in rows] for hop in _HOPS]
    axes.stackplot(riders, parts, labels=_HOPS)
    axes.set(xscale="log", xlabel="riders", ylabel="CPU µs a fix", title="cost of a fix, one fix a message")
    axes.legend(loc="lower right")


def _ages(axes: Any, broker: str, screen: dict[str, Any]) -> None:
    counts = screen["by_2_ms"]
    axes.step([2 * bin_ for bin_ in range(len(counts))], counts, where="post", label=broker)
    axes.set(xlabel="ms from the rider's send", ylabel="frames", title="age of a fix on the screen")


def _cpu(axes: Any, broker: str, spent: dict[str, float]) -> None:
    names = sorted(spent, key=lambda name: spent[name])
    axes.barh(names, [spent[name] for name in names], label=broker, alpha=0.55)
    axes.set(xlabel="CPU µs a fix", title="where the CPU goes, 2,000 riders at 1 Hz")
