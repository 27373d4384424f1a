"""The calibration as a picture: promised against kept, and errors of the ways by the hour."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.eta.quotes import Leg, ScoredQuote
from benchmarks.eta.scoring import LEARNED, PEER, ROAD, quotes_of, reliability
from dispatch.engine.eta.calibration import Stage

_LEVELS = np.linspace(0.05, 0.95, 19)


def plot(judged: Sequence[ScoredQuote], legs: Sequence[Leg], file: Path) -> None:
    """Writes a PNG. Raises `ImportError` where matplotlib is not installed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for stage in Stage:
        left.plot(
            _LEVELS, reliability(quotes_of(judged, LEARNED, stage), _LEVELS), marker="o", markersize=3, label=stage
        )
    left.plot(
        _LEVELS,
        reliability(quotes_of(judged, "uncalibrated", Stage.ASSIGNED), _LEVELS),
        "--",
        label="assigned, untaught",
    )
    left.axvspan(0.89, 0.91, color="0.9")
    left.set(xlabel="promised share", ylabel="share that came in time", title="Held-back days: promised against kept")
    left.legend()
    edges = np.arange(0, 721, 90)
    took_s = np.array([leg.took_s for leg in legs])
    for name in (PEER, ROAD, LEARNED):
        said_s = np.array([leg.said_s[name] for leg in legs])
        error = np.abs(said_s - took_s)
        bins = [error[(took_s >= a) & (took_s < b)] for a, b in pairwise(edges)]
        right.plot(
            edges[:-1] + 45, [b.mean() if len(b) else np.nan for b in bins], marker="o", markersize=3, label=name
        )
    right.set(xlabel="seconds the way took", ylabel="mean absolute error, s", title="Ways with food on board")
    right.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)
