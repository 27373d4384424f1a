"""The plot of a run: storms, the map, and where the planet's cores go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

mpl.use("Agg")


def draw(report: dict[str, Any], path: Path) -> None:
    """Writes the PNG."""
    figure, (storms, load, cores) = plt.subplots(1, 3, figsize=(16, 4.6))
    for storm in report["storms"]:
        seconds, orphans = zip(*storm["curve"], strict=True)
        storms.plot(seconds, orphans, label=f"{storm['killed']} shards die")
    storms.set(
        xlabel="seconds after their death", ylabel="cities nobody runs", yscale="symlog", title="failover storms"
    )
    storms.legend()
    names = [f"{storm['killed']} die" for storm in report["storms"]]
    load.bar(names, [storm["load_max_over_mean"] for storm in report["storms"]])
    moves = report["rebalance"]
    load.bar(["woken", "after the plan"], [moves["max_over_mean_before"], moves["max_over_mean_after"]])
    load.axhline(1.0, color="grey", linewidth=0.8)
    load.set(ylabel="fullest shard over the mean", title="how even the load is")
    needs = sorted(report["needs"], key=lambda need: need["cores"])
    cores.barh([need["part"] for need in needs], [need["cores"] for need in needs])
    cores.set(xscale="log", xlabel="cores at the peak", title="the planet")
    figure.suptitle(f"forno bench scale, {report['commit'][:10]}, {report['machine']['cpus']} CPUs")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
