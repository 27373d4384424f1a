"""Limits on what the edge accepts from riders."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what riders send and on what may wait. Domain spans that stand for the error of a device's clock or
    for the way over the network grow with the speed of the domain clock.

    Raises `ValueError` naming the field.
    """

    clock_speed: float = 1.0
    #: A device clock at Hello may be this far off, wall milliseconds.
    clock_error_ms: int = 2 * MINUTE_MS
    #: A fix may be this far ahead of the edge's clock, wall milliseconds.
    ahead_ms: int = 5_000
    #: A fix may be this old, domain milliseconds.
    max_age_ms: int = 120 * MINUTE_MS
    #: A reply or a status may be this old, domain milliseconds: a delivery made far from any network still counts.
    max_event_age_ms: int = 24 * 60 * MINUTE_MS
    #: A rider cannot move faster than this between two fixes, metres a second of domain time...
    max_speed_m_s: float = 70.0
    #: ...but for the error of two fixes, metres.
    jump_slack_m: float = 150.0
    #: Fixes of one stream that wait for durability; beyond, the stream is not read.
    max_unacked_fixes: int = 2_000
    #: Fixes of one city that wait for durability; beyond, no stream of that city is read.
    max_city_fixes: int = 100_000
    #: Fixes of the whole edge that wait for durability; beyond, no stream is read.
    max_waiting_fixes: int = 400_000
    #: Replies and statuses of one city that wait for durability; beyond, no stream of that city is read.
    max_waiting_events: int = 20_000
    #: The oldest waiting fix may be this old before riders are told to send less, wall milliseconds.
    late_ms: int = 3_000
    #: What they are told then, fixes a second (wall).
    late_fixes_per_s: float = 0.2

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be greater than 0, got {getattr(self, name)!r}")

    @property
    def domain_ahead_ms(self) -> int:
        """Largest time of a fix ahead of the domain clock."""
        return int(self.ahead_ms * max(1.0, self.clock_speed))

    @property
    def domain_clock_error_ms(self) -> int:
        """Largest difference of a device's clock from the domain clock at Hello."""
        return int(self.clock_error_ms * max(1.0, self.clock_speed))
