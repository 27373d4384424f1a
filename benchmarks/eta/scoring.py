"""Score quotes and ways against deliveries: figures, targets, peers.

A quote is judged once in each stage: when the order was placed (`open`), when its rider accepted (`assigned`) and when
it was picked up (`carried`); always the last such quote before the delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.eta.quotes import SPEEDS_ALONE, Leg, ScoredQuote
from benchmarks.record import Figure, at_most
from dispatch.engine.eta.calibration import Z90, Stage

COVERED = (0.87, 0.93)
#: Mean absolute error of the learned ways over that of free flow.
LEG_RATIO = 0.85
LEARNED, PEER, ROAD = "learned", "free flow", "road"

Floats = NDArray[np.float64]


def quotes_of(judged: Iterable[ScoredQuote], model: str, stage: Stage) -> list[ScoredQuote]:
    """The quotes of one model in one stage."""
    return [j for j in judged if j.model == model and j.quote.stage is stage]


def covered(judged: Sequence[ScoredQuote]) -> float:
    """Share that came no later than the quoted p90."""
    return float(np.mean([j.delivered_ms <= j.quote.p90_ms for j in judged])) if judged else float("nan")


def stage_figures(judged: Sequence[ScoredQuote]) -> dict[str, float]:
    """All figures of the quotes of one model in one stage; seconds."""
    if not judged:
        return {"quotes": 0}
    delivered = _ms(judged, lambda j: j.delivered_ms)
    late50_s = (delivered - _ms(judged, lambda j: j.quote.median_ms)) / 1000
    late90_s = (delivered - _ms(judged, lambda j: j.quote.p90_ms)) / 1000
    out = {
        "quotes": len(judged),
        "under_median": float((late50_s <= 0).mean()),
        "under_p90": float((late90_s <= 0).mean()),
        "mae_s": float(np.abs(late50_s).mean()),
        "bias_s": float(late50_s.mean()),
        "p90_after_median_s": float((late50_s - late90_s).mean()),
        "pinball50_s": _pinball(late50_s, 0.5),
        "pinball90_s": _pinball(late90_s, 0.9),
        "under_p90_in_rain": covered([j for j in judged if j.rain]),
        "under_p90_dry": covered([j for j in judged if not j.rain]),
        "under_p90_slow_riders": covered([j for j in judged if j.slow_rider]),
        "quotes_in_rain": sum(j.rain for j in judged),
        "quotes_slow_riders": sum(j.slow_rider for j in judged),
    }
    days = sorted({j.day for j in judged})
    by_day = [covered([j for j in judged if j.day == day]) for day in days]
    out |= {"under_p90_worst_day": min(by_day), "under_p90_best_day": max(by_day)}
    return {name: round(value, 4) for name, value in out.items()}


def leg_figures(legs: Sequence[Leg]) -> dict[str, float]:
    """Mean absolute errors of ways with food on board, seconds. `free flow x best` knows one factor for the whole city,
    the best afterwards: what learning a single number could have reached at most."""
    took_s = np.array([leg.took_s for leg in legs])
    out: dict[str, float] = {"legs": len(legs), "mean_s": float(took_s.mean())}
    for name in (LEARNED, SPEEDS_ALONE, PEER, ROAD):
        said_s = np.array([leg.said_s[name] for leg in legs])
        out[f"{name} mae_s"] = float(np.abs(said_s - took_s).mean())
    for name in (PEER, ROAD):
        said_s = np.array([leg.said_s[name] for leg in legs])
        out[f"{name} x best mae_s"] = min(float(np.abs(said_s * f - took_s).mean()) for f in np.linspace(0.6, 2.5, 191))
    return {name: round(value, 2) for name, value in out.items()}


def targets(judged: Sequence[ScoredQuote], legs: Sequence[Leg]) -> list[Figure]:
    """Figures with their bounds."""
    ways = leg_figures(legs)
    peer_s = ways[f"{PEER} mae_s"]
    error_s = ways[f"{LEARNED} mae_s"]
    found = [at_most("ways: mean absolute error", error_s, round(LEG_RATIO * peer_s, 2), "s", peer_s, PEER)]
    for stage in Stage:
        own, peer = (stage_figures(quotes_of(judged, model, stage)) for model in (LEARNED, "uncalibrated"))
        name, share = f"quotes {stage}: share under p90", round(own["under_p90"], 4)
        found.append(Figure(name, share, "of all", *COVERED, round(peer["under_p90"], 4), "uncalibrated"))
    return found


def reliability(judged: Sequence[ScoredQuote], levels: Floats) -> Floats:
    """Share of actuals below the quantile of each level, with the normal distribution that a quote's median and p90
    mean."""
    from scipy.stats import norm

    delivered = _ms(judged, lambda j: j.delivered_ms)
    median, p90 = _ms(judged, lambda j: j.quote.median_ms), _ms(judged, lambda j: j.quote.p90_ms)
    spread = np.maximum(p90 - median, 1.0) / Z90
    quantiles = median[:, None] + spread[:, None] * norm.ppf(levels)[None, :]
    shares: Floats = (delivered[:, None] <= quantiles).mean(axis=0)
    return shares


def _pinball(late_s: Floats, level: float) -> float:
    return float(np.where(late_s > 0, level * late_s, (level - 1) * late_s).mean())


def _ms(judged: Sequence[ScoredQuote], of: Callable[[ScoredQuote], int]) -> Floats:
    return np.array([of(j) for j in judged], np.float64)
