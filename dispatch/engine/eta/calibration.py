"""Quotes that stay honest: how far the truth lies from what was summed up, learned from each delivery.

A sum along a plan gives `raw` and a `spread` in seconds. The quote of an order is

    median = raw + mid * spread          p90 = raw + high * spread

and (mid, high) are tracked for each stage of an order. When it is delivered, each of its quotes is scored: the score is
(actual - raw) / spread. A score above `high` moves `high` up by 0.9 steps, one below moves it down by 0.1: it comes to
rest only where one in ten lies above, and follows when rain makes everybody late. Whatever the sequence of scores, the
share of the misses over n deliveries is off a tenth by at most (range of `high`) / (step n): quantile tracking, the
proportional part of conformal PID control (Angelopoulos, Candès and Tibshirani 2023; Gibbs and Candès 2021). Steps are
large at first, 1 / sqrt(n), so that a new city is learned in an hour, and 0.15 in the end.

Worked example: step 0.15, high 1.28. Rain comes, three late deliveries: 1.28 + 3 * 0.135 = 1.69; ten punctual ones
later it is 1.54 again. A small step lags behind a rain (0.06: 88 % kept where 0.15 keeps 89 %), a large one trembles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

Z90: Final = 1.2816
"""The 90% quantile of the normal distribution: where `high` begins."""

SHARE: Final = 0.9
_STEP_MID: Final = 0.06
_STEP_HIGH: Final = 0.15
#: `mid` and `high` stay within so many spreads.
_MOST: Final = 8.0


class Stage(StrEnum):
    """Stage of an order when it is quoted: the later, the more is known."""

    OPEN = "open"
    ASSIGNED = "assigned"
    CARRIED = "carried"


@dataclass(frozen=True, slots=True)
class Band:
    """Median and 90th percentile, in spreads from the raw sum; learned from so many deliveries."""

    mid: float = 0.0
    high: float = Z90
    seen: int = 0

    def learned(self, score: float) -> Band:
        """The band after one more delivery."""
        first = (1 + self.seen) ** -0.5
        mid = self.mid + max(_STEP_MID, first) * (0.5 if score > self.mid else -0.5)
        high = self.high + max(_STEP_HIGH, first) * (SHARE if score > self.high else SHARE - 1)
        return Band(_within(mid), _within(high), self.seen + 1)


def _within(value: float) -> float:
    return max(-_MOST, min(_MOST, value))


@dataclass(frozen=True, slots=True)
class Quote:
    """ETA that was quoted in a stage, domain milliseconds; `raw_ms` and `spread_ms` are what it was made of."""

    stage: Stage
    made_ms: int
    raw_ms: int
    spread_ms: int
    median_ms: int
    p90_ms: int


@dataclass(frozen=True, slots=True)
class Eta:
    """Expected drop-off, domain milliseconds: median and 90th percentile; and the quote they are, if it is one."""

    median_ms: int
    p90_ms: int
    quote: Quote | None = None

    @staticmethod
    def of(quote: Quote) -> Eta:
        """The ETA of a quote."""
        return Eta(quote.median_ms, quote.p90_ms, quote)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The bands of all stages: a value, so that it can go to the worker and be stored."""

    bands: Mapping[Stage, Band] = field(default_factory=dict)

    def band(self, stage: Stage) -> Band:
        """The band of a stage; the normal distribution's before anything was learned."""
        return self.bands.get(stage, Band())

    def quote(self, stage: Stage, now_ms: int, raw_s: float, spread_s: float) -> Quote:
        """Calibrate `raw_s` seconds from now, give or take `spread_s`: not in the past, p90 not before the median."""
        band = self.band(stage)
        median_s = max(0.0, raw_s + band.mid * spread_s)
        p90_s = max(median_s, raw_s + band.high * spread_s)
        raw_ms, spread_ms, median_ms, p90_ms = (round(s * 1000) for s in (raw_s, spread_s, median_s, p90_s))
        return Quote(stage, now_ms, now_ms + raw_ms, spread_ms, now_ms + median_ms, now_ms + p90_ms)

    def learned(self, quote: Quote, delivered_ms: int) -> Calibration:
        """The calibration after the delivery of an order that was quoted so."""
        score = (delivered_ms - quote.raw_ms) / max(quote.spread_ms, 1000)
        return replace(self, bands={**self.bands, quote.stage: self.band(quote.stage).learned(score)})
