"""Bounds are checked when they are made."""

from __future__ import annotations

from dataclasses import fields

import pytest

from tracking.engine.limits import Limits


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
@pytest.mark.parametrize("value", [0, -1])
def test_every_bound_must_be_positive(name: str, value: int) -> None:
    """Nought and less are refused, and the message names the field."""
    with pytest.raises(ValueError, match=f"^{name}: "):
        Limits(**{name: value})


def test_spans_of_the_network_grow_with_the_domain_clock() -> None:
    """At 60x five seconds of wall time are five minutes of domain time; a slow clock narrows nothing."""
    assert Limits(clock_speed=60).domain_ahead_ms == 300_000
    assert Limits(clock_speed=0.5).domain_ahead_ms == 5_000
    assert Limits(clock_speed=60).domain_clock_error_ms == 7_200_000
