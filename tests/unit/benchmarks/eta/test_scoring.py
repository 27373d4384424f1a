"""Figures of quotes and ways that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.eta.quotes import SPEEDS_ALONE, Leg, ScoredQuote
from benchmarks.eta.scoring import leg_figures, quotes_of, reliability, stage_figures, targets
from dispatch.engine.eta.calibration import Quote, Stage


def judged(
    came_s: int, *, model: str = "learned", stage: Stage = Stage.CARRIED, day: str = "d", rain: bool = False
) -> ScoredQuote:
    """Promised for second 600, 700 at the latest; came at `came_s`."""
    quote = Quote(stage, 0, 600_000, 60_000, 600_000, 700_000)
    return ScoredQuote(model, day, quote, came_s * 1000, rain, slow_rider=rain)


def leg(took_s: float, learned_s: float, free_flow_s: float) -> Leg:
    """A way as the models gave it, and what it took."""
    said = {"learned": learned_s, SPEEDS_ALONE: learned_s - 10, "free flow": free_flow_s, "road": took_s}
    return Leg("d", said, took_s)


def test_coverage_errors_and_pinball() -> None:
    """Four quotes: on the minute, 50 s early, 60 s late and within the p90, 200 s late and 100 s beyond it."""
    f = stage_figures([judged(600), judged(550), judged(660), judged(800)])
    assert (f["quotes"], f["under_median"], f["under_p90"]) == (4, 0.5, 0.75)
    assert f["mae_s"] == (0 + 50 + 60 + 200) / 4
    assert f["bias_s"] == (0 - 50 + 60 + 200) / 4
    assert f["p90_after_median_s"] == 100
    # Half of each error counts at the median; at the p90 a tenth of what is early, nine tenths of what is late.
    assert f["pinball50_s"] == (0 + 25 + 30 + 100) / 4
    assert f["pinball90_s"] == (10 + 15 + 4 + 90) / 4


def test_coverage_in_rain_and_by_day() -> None:
    """The wet quotes, the dry ones, and the days by themselves; nothing of a kind is not a number."""
    f = stage_figures([judged(600, day="a"), judged(600, day="b"), judged(900, day="b", rain=True)])
    assert (f["under_p90_in_rain"], f["under_p90_dry"], f["quotes_in_rain"]) == (0.0, 1.0, 1)
    assert (f["under_p90_worst_day"], f["under_p90_best_day"]) == (0.5, 1.0)
    assert np.isnan(stage_figures([judged(600)])["under_p90_slow_riders"])
    assert stage_figures([]) == {"quotes": 0}


def test_ways_and_the_best_single_factor() -> None:
    """Free flow says half of everything: twice that is exact, which no learning of one number could beat."""
    f = leg_figures([leg(100, 90, 50), leg(300, 330, 150)])
    assert (f["legs"], f["mean_s"]) == (2, 200)
    assert (f["learned mae_s"], f["free flow mae_s"], f["road mae_s"]) == (20, 100, 0)
    assert f[f"{SPEEDS_ALONE} mae_s"] == (20 + 20) / 2
    assert f["free flow x best mae_s"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("label", "learned_s", "came_s", "met"),
    [
        ("good", 110, [600] * 9 + [900], [True, True, True, True]),
        ("ways hardly better than free flow", 186, [600] * 9 + [900], [False, True, True, True]),
        ("promises kept too seldom", 110, [600] * 8 + [900] * 2, [True, False, False, False]),
        ("promises so long that all are kept", 110, [600] * 10, [True, False, False, False]),
    ],
)
def test_targets(label: str, learned_s: float, came_s: list[int], met: list[bool]) -> None:
    """The ways' error is at most 85 % of free flow's 100 s, nine tenths of the quotes in each stage are kept."""
    quotes = [
        judged(s, model=model, stage=stage) for model in ("learned", "uncalibrated") for stage in Stage for s in came_s
    ]
    found = targets(quotes, [leg(100, learned_s, 200)])
    assert [figure.met for figure in found] == met, label
    assert found[0].peer == 100


def test_a_model_is_judged_by_its_own_quotes() -> None:
    """In one stage."""
    all_ = [judged(600), judged(601, model="road"), judged(602, stage=Stage.OPEN)]
    assert quotes_of(all_, "learned", Stage.CARRIED) == [all_[0]]


def test_reliability_at_the_levels_that_were_promised() -> None:
    """What comes just before the median is below the median's quantile, what comes just before the p90 below that."""
    shares = reliability([judged(599), judged(601), judged(699), judged(701)], np.array([0.5, 0.9]))
    assert shares.tolist() == [0.25, 0.75]
