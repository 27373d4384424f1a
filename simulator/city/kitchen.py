"""Kitchens: so many ovens, orders in turn, and a clock that is not quite kept."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from dataclasses import dataclass
from random import Random

from simulator.city.model import OrderId
from simulator.city.params import KitchenParams

#: Orders whose food nobody came for are forgotten beyond this many.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Cooking:
    """Time that the kitchen says an order needs, and when the food will really be ready.

    At `again_ms` it will say anew when that is: at `again_ready_ms`; 0: it does not.
    """

    said_s: int
    ready_ms: int
    again_ms: int = 0
    again_ready_ms: int = 0


class Kitchen:
    """The kitchen of one restaurant. Orders beyond the ovens wait, and the kitchen says so beforehand."""

    def __init__(self, params: KitchenParams, rng: Random) -> None:
        self._params = params
        self._rng = rng
        self._free_ms = [0] * params.ovens

    def begin(self, now_ms: int) -> Cooking:
        """An order comes in."""
        starts_ms = max(now_ms, heapq.heappop(self._free_ms))
        cook_s = self._rng.uniform(*self._params.cook_s)
        said_s = (starts_ms - now_ms) / 1000 + cook_s
        ready_ms = now_ms + round(said_s * self._rng.lognormvariate(0, self._params.surprise) * 1000)
        heapq.heappush(self._free_ms, max(starts_ms, ready_ms))
        if self._params.looks_again >= 1:
            return Cooking(round(said_s), ready_ms)
        again_ms = now_ms + round(said_s * self._params.looks_again * 1000)
        left_ms = max(0, ready_ms - again_ms)
        sure = self._rng.lognormvariate(0, self._params.surprise / 3)
        return Cooking(round(said_s), ready_ms, again_ms, again_ms + round(left_ms * sure))


class Pass:
    """Counter with finished food: when each order is really ready."""

    def __init__(self) -> None:
        self._ready_ms: OrderedDict[OrderId, int] = OrderedDict()

    def expect(self, order_id: OrderId, ready_ms: int) -> None:
        """An order got its id; its food will be here at `ready_ms`."""
        self._ready_ms[order_id] = ready_ms
        if len(self._ready_ms) > _REMEMBERED:
            self._ready_ms.popitem(last=False)

    def ready_ms(self, order_id: OrderId, said_ms: int) -> int:
        """Time when the food is ready; for an order this city did not place, when the kitchen said."""
        return self._ready_ms.get(order_id, said_ms)
