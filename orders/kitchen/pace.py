"""Learn a kitchen's pace: time taken over time said, from orders that it called ready. Pure.

A sample is time taken over time said, of one order. The median and the 90th percentile of a few hundred samples are
robust: one order forgotten on the counter moves neither. Little history moves little: an estimate from `n` samples is
drawn towards its prior with the weight of `PRIOR_SAMPLES` samples; the prior of a restaurant is what it says, the prior
of its hour of the day is the restaurant.

    estimate = (n * seen + PRIOR_SAMPLES * prior) / (n + PRIOR_SAMPLES)        in logarithms: ratios multiply
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: So many samples count as much as what was believed before (empirical Bayes with a fixed prior weight).
PRIOR_SAMPLES = 10
#: Nine in ten orders are ready within this many times the time said, as long as nothing else is known.
PRIOR_P90 = 1.5
#: What lies outside is a slip of the hand (ready pressed at once, or the next morning), cut to the edge.
EDGES = (0.2, 5.0)


@dataclass(frozen=True, slots=True)
class PaceSample:
    """An order that the kitchen called ready: the local hour in which it was begun, time said and time taken."""

    hour: int
    said_s: float
    took_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Time taken over time said: median and 90th percentile; learned from so many samples."""

    median: float = 1.0
    p90: float = PRIOR_P90
    samples_hour: int = 0
    samples: int = 0


def pace_of(cooked: Sequence[PaceSample], hour: int) -> Pace:
    """The kitchen's pace in an hour of the day. Samples with nothing said are passed over."""
    logs = [(one.hour, _log_ratio(one)) for one in cooked if one.said_s > 0]
    everything = [ratio for _, ratio in logs]
    this_hour = [ratio for at, ratio in logs if at == hour]
    median = _drawn(_drawn(0.0, everything, 0.5), this_hour, 0.5)
    p90 = _drawn(_drawn(math.log(PRIOR_P90), everything, 0.9), this_hour, 0.9)
    return Pace(math.exp(median), math.exp(max(p90, median)), len(this_hour), len(everything))


def _log_ratio(one: PaceSample) -> float:
    return math.log(min(max(one.took_s / one.said_s, EDGES[0]), EDGES[1]))


def _drawn(prior: float, samples: Sequence[float], quantile: float) -> float:
    """The samples' quantile, drawn towards the prior."""
    if not samples:
        return prior
    seen = _quantile(sorted(samples), quantile)
    return (len(samples) * seen + PRIOR_SAMPLES * prior) / (len(samples) + PRIOR_SAMPLES)


def _quantile(ordered: Sequence[float], quantile: float) -> float:
    """Linear between the two nearest (Hyndman and Fan, definition 7)."""
    place = quantile * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
