"""Quotes that follow what came."""

from __future__ import annotations

from random import Random

import pytest

from dispatch.engine.eta.calibration import Z90, Band, Calibration, Quote, Stage
from dispatch.engine.eta.later_of_two import later_of

SPREAD_S = 100.0


def kept(scores: list[float]) -> float:
    """Share of deliveries under the quoted p90, each learned before the next is quoted; a hundred only teach."""
    calibration, under = Calibration(), 0
    for n, score in enumerate(scores):
        quote = calibration.quote(Stage.ASSIGNED, 0, 1000.0, SPREAD_S)
        delivered_ms = round((1000.0 + score * SPREAD_S) * 1000)
        under += n >= 100 and delivered_ms <= quote.p90_ms
        calibration = calibration.learned(quote, delivered_ms)
    return under / (len(scores) - 100)


def test_untaught_quotes_are_the_normal_distributions() -> None:
    """Median at the sum, p90 at 1.28 spreads after it."""
    quote = Calibration().quote(Stage.OPEN, 5_000, 600.0, SPREAD_S)
    assert quote == Quote(Stage.OPEN, 5_000, 605_000, 100_000, 605_000, 605_000 + round(Z90 * 100_000))


@pytest.mark.parametrize(
    ("name", "late", "wild"),
    [("as expected", 0.0, 1.0), ("always late", 3.0, 1.0), ("always early", -2.0, 0.5), ("far wilder", 0.0, 4.0)],
)
def test_nine_in_ten_come_in_time_whatever_the_world_is_like(name: str, late: float, wild: float) -> None:
    """Over 1,500 deliveries of worlds that the spreads know nothing of."""
    seed = 20261123
    rng = Random(f"{seed}/{name}")
    share = kept([rng.gauss(late, wild) for _ in range(1500)])
    assert 0.87 <= share <= 0.93, f"seed {seed}, {name}: {share}"


def test_rain_is_caught_up_with() -> None:
    """A third of the deliveries come in a rain that makes everybody two spreads later, in two spells."""
    seed = 7
    rng = Random(seed)
    rain = [(300 <= i < 550) or (900 <= i < 1150) for i in range(1500)]
    share = kept([rng.gauss(2.0 if wet else 0.0, 1.0) for wet in rain])
    assert 0.87 <= share <= 0.93, f"seed {seed}: {share}"


def test_p90_is_never_before_the_median_nor_either_before_now() -> None:
    """Random bands, sums and spreads."""
    seed = 11
    rng = Random(seed)
    for _ in range(2000):
        calibration = Calibration({Stage.OPEN: Band(rng.uniform(-8, 8), rng.uniform(-8, 8))})
        now_ms = rng.randrange(10**12)
        quote = calibration.quote(Stage.OPEN, now_ms, rng.uniform(0, 4000), rng.uniform(0, 900))
        assert now_ms <= quote.median_ms <= quote.p90_ms, f"seed {seed}: {quote}"


def test_stages_learn_apart() -> None:
    """A late delivery of a carried order says nothing about open ones."""
    before = Calibration()
    late = before.quote(Stage.CARRIED, 0, 60.0, SPREAD_S)
    after = before.learned(late, 10_000_000)
    assert after.band(Stage.CARRIED).high > before.band(Stage.CARRIED).high
    assert after.band(Stage.OPEN) == before.band(Stage.OPEN)


def test_the_later_of_two_is_later_than_both() -> None:
    """By hand: two standard normals; and sure times, of which the later counts."""
    mean, spread = later_of(0.0, 1.0, 0.0, 1.0)
    assert mean == pytest.approx(0.5642, abs=1e-4)
    assert spread == pytest.approx((1 - 1 / 3.14159265) ** 0.5, abs=1e-4)
    assert later_of(5.0, 0.0, 7.0, 0.0) == (7.0, 0.0)
    assert later_of(100.0, 1.0, 0.0, 1.0) == pytest.approx((100.0, 1.0))


def test_the_later_of_two_against_draws() -> None:
    """Mean and deviation of 20,000 draws, for a few pairs."""
    seed = 3
    rng = Random(seed)
    for a_s, a_spread_s, b_s, b_spread_s in ((100, 30, 120, 10), (0, 50, 40, 80), (300, 5, 100, 90)):
        draws = [max(rng.gauss(a_s, a_spread_s), rng.gauss(b_s, b_spread_s)) for _ in range(20_000)]
        mean = sum(draws) / len(draws)
        spread = (sum((d - mean) ** 2 for d in draws) / len(draws)) ** 0.5
        assert later_of(a_s, a_spread_s, b_s, b_spread_s) == pytest.approx((mean, spread), rel=0.03, abs=1), seed
