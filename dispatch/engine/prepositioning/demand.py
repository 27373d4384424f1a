"""Forecast a city's orders from those placed so far. Knows the past only."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

import numpy as np

from dispatch.engine.inputs import OrderOpened
from dispatch.engine.matching.problem import Floats
from dispatch.engine.model import Point, RestaurantId
from dispatch.engine.ports import Points
from node.geodesy import points


@dataclass(slots=True)
class _Counter:
    """A restaurant: its orders, each fading by e within the memory, as of the last one."""

    place: Point
    faded: float
    last_ms: int


@dataclass(slots=True)
class Demand:
    """Orders of each restaurant, fading: one of `memory_s` ago counts 1/e of one of now."""

    memory_s: float
    _counters: dict[RestaurantId, _Counter] = field(default_factory=dict)
    _first_ms: int | None = None

    def opened(self, order: OrderOpened) -> None:
        """An order was placed; they come in the order of time."""
        if self._first_ms is None:
            self._first_ms = order.at_ms
        before = self._counters.get(order.restaurant_id)
        faded = 1.0 if before is None else 1.0 + before.faded * self._fade(order.at_ms - before.last_ms)
        self._counters[order.restaurant_id] = _Counter(order.pickup, faded, order.at_ms)

    def expected(self, within_s: float, now_ms: int) -> tuple[tuple[RestaurantId, ...], Points, Floats]:
        """Restaurants by name, their places (k, 2), and how many orders each is expected to get within `within_s`.

        A rate r held for the time t since the first order fades to r memory (1 - exp(-t / memory)).
        """
        ids = tuple(sorted(self._counters))
        counters = [self._counters[i] for i in ids]
        places = points([c.place for c in counters])
        if self._first_ms is None:
            return ids, places, np.zeros(0)
        known_s = max(60.0, (now_ms - self._first_ms) / 1000)
        whole_s = self.memory_s * (1.0 - exp(-known_s / self.memory_s))
        faded = np.array([c.faded * self._fade(now_ms - c.last_ms) for c in counters])
        return ids, places, faded * (within_s / whole_s)

    def _fade(self, ago_ms: int) -> float:
        return exp(-ago_ms / 1000 / self.memory_s)
