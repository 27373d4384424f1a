"""The later of two uncertain moments: rider at the counter, food ready."""

from __future__ import annotations

from math import erf, exp, hypot, pi, sqrt


def later_of(a_s: float, a_spread_s: float, b_s: float, b_spread_s: float) -> tuple[float, float]:
    """Mean and deviation of max(A, B) for independent normal A and B (Clark 1961, equations 2 to 5).

    Two people who both say "ten o'clock, give or take five minutes" are together at 10:03 on average.
    """
    theta = hypot(a_spread_s, b_spread_s)
    if theta < 1e-9:
        return max(a_s, b_s), 0.0
    alpha = (a_s - b_s) / theta
    density = exp(-alpha * alpha / 2) / sqrt(2 * pi)
    first = (1 + erf(alpha / sqrt(2))) / 2
    mean = a_s * first + b_s * (1 - first) + theta * density
    square = (a_s**2 + a_spread_s**2) * first + (b_s**2 + b_spread_s**2) * (1 - first) + (a_s + b_s) * theta * density
    return mean, sqrt(max(0.0, square - mean**2))
