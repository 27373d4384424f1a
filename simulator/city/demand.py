"""Demand over a day: a curve with its lunch and dinner, and arrivals drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

#: Share of the peak's rate at each full hour of local time, 0 to 23; straight lines between. Two humps, as in the
#: order counts a day of food delivery everywhere: lunch, and a higher dinner; kitchens are closed in the small hours.
DAY = (0.15, 0, 0, 0, 0, 0, 0, 0, 0.02, 0.05, 0.1, 0.3, 0.75, 0.8, 0.5, 0.25, 0.2, 0.3, 0.5, 0.8, 1, 1, 0.75, 0.4)


class DayCurve:
    """The rate of orders over the day of a time zone."""

    def __init__(self, orders_per_hour: float, zone: ZoneInfo, hours: Sequence[float] = DAY) -> None:
        self._peak_per_ms = orders_per_hour / 3_600_000
        self._zone = zone
        self._hours = tuple(hours)

    def share(self, at_ms: int) -> float:
        """The rate over the peak's, 0..1."""
        local = datetime.fromtimestamp(at_ms / 1000, self._zone)
        part = local.minute / 60 + local.second / 3600
        return self._hours[local.hour] * (1 - part) + self._hours[(local.hour + 1) % 24] * part

    def next_after(self, at_ms: int, rng: Random) -> int | None:
        """The next arrival: a Poisson process at the peak's rate, thinned to the curve (Lewis and Shedler 1979).

        None when nobody ever orders.
        """
        if self._peak_per_ms <= 0 or not any(self._hours):
            return None
        now_ms = float(at_ms)
        while True:
            now_ms += rng.expovariate(self._peak_per_ms)
            if rng.random() < self.share(int(now_ms)):
                return int(now_ms)
