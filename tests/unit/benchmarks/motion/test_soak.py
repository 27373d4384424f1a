"""The slope test of the soak."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.motion.soak import RSS_MB, figures, rise

_TIMES_S = [20.0 * n for n in range(1, 31)]


@pytest.mark.parametrize(
    ("label", "series", "risen"),
    [
        ("flat", [50.0] * 30, 0.0),
        ("a line", [50 + 0.1 * t for t in _TIMES_S], 58.0),
        ("flat but for one bad window", [50.0] * 29 + [5000.0], 0.0),
        ("flat but for a slow beginning", [500.0, 400.0, 300.0] + [50.0] * 27, 0.0),
    ],
)
def test_rise(label: str, series: list[float], risen: float) -> None:
    """A drift is found as large as it is; a bad window or two is no drift."""
    assert rise(_TIMES_S, series) == pytest.approx(risen), label


def test_allowance_is_a_share_or_a_floor() -> None:
    """A tenth of a large process, 8 MB of a small one."""
    assert RSS_MB.of([400.0, 420.0, 440.0]) == pytest.approx(42.0)
    assert RSS_MB.of([60.0, 61.0]) == 8


@pytest.mark.parametrize(("leak_mb", "met"), [(0.0, True), (2.0, False)])
def test_a_leak_is_told(leak_mb: float, met: bool) -> None:
    """Two megabytes a window in one process make its figure, and no other, fall short."""
    windows: list[dict[str, Any]] = [
        {
            "at_s": at_s,
            "screen": {"p50_ms": 20.0, "p99_ms": 60.0},
            "rss_mb": {"shard-1": 150 + leak_mb * n, "tracking": 120.0},
        }
        for n, at_s in enumerate(_TIMES_S)
    ]
    found = {f.name: f.met for f in figures({"windows": windows, "fixes": {"refused": 0, "thinned": 0, "sessions": 0}})}
    assert found.pop("rise of memory, shard-1") is met
    assert all(found.values())
