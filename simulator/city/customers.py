"""Customers: who orders what, where and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp
from random import Random
from typing import Protocol
from uuid import UUID

from simulator.city.demand import DayCurve
from simulator.city.kitchen import Kitchen
from simulator.city.menu import Item, basket
from simulator.city.model import Place, Restaurant
from simulator.city.params import CustomerParams, KitchenParams

#: Places tried for a drop-off before the nearest of them is taken.
_TRIES = 60


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """An order as a customer sends it, and what only the kitchen knows: when the food will really be ready, and when it
    will say so anew (`again_ms`, 0: never)."""

    at_ms: int
    key: str
    user_id: str
    restaurant: Restaurant
    preparation_s: int
    dropoff: Place
    items: tuple[Item, ...]
    tip_minor: int
    payment_token: str
    ready_ms: int
    again_ms: int = 0
    again_ready_ms: int = 0


class Demand(Protocol):
    """Orders one after the other, each at its time."""

    def due_ms(self) -> int | None:
        """Time of the next order; None: never."""

    def order(self) -> OrderDraft:
        """The order of `due_ms`; from then on `due_ms` is that of the next."""


class Customers:
    """The customers of one city. The same seed and times give the same orders."""

    def __init__(
        self,
        restaurants: Sequence[Restaurant],
        homes: Sequence[Place],
        curve: DayCurve,
        params: CustomerParams,
        kitchens: KitchenParams,
        rng: Random,
        now_ms: int,
    ) -> None:
        if not restaurants or not homes:
            raise ValueError("a city without restaurants or homes has no customers")
        self._restaurants = tuple(restaurants)
        self._weights = tuple(accumulate(r.popularity for r in restaurants))
        self._homes = tuple(homes)
        self._curve = curve
        self._params = params
        self._rng = rng
        self._kitchens = {r.restaurant_id: Kitchen(kitchens, Random(rng.getrandbits(64))) for r in restaurants}
        self._next_ms = curve.next_after(now_ms, rng)

    def due_ms(self) -> int | None:
        return self._next_ms

    def order(self) -> OrderDraft:
        assert self._next_ms is not None
        at_ms, rng = self._next_ms, self._rng
        self._next_ms = self._curve.next_after(at_ms, rng)
        restaurant = rng.choices(self._restaurants, cum_weights=self._weights)[0]
        cooking = self._kitchens[restaurant.restaurant_id].begin(at_ms)
        return OrderDraft(
            at_ms=at_ms,
            key=str(UUID(int=rng.getrandbits(128), version=4)),
            user_id=f"user-{rng.randrange(self._params.users)}",
            restaurant=restaurant,
            preparation_s=cooking.said_s,
            dropoff=self._home_near(restaurant.at),
            items=basket(rng),
            tip_minor=rng.choice((0, 0, 500, 1000)),
            payment_token="tok_declined" if rng.random() < self._params.decline else "tok_ok",
            ready_ms=cooking.ready_ms,
            again_ms=cooking.again_ms,
            again_ready_ms=cooking.again_ready_ms,
        )

    def _home_near(self, at: Place) -> Place:
        """A home, rarer with distance (acceptance sampling)."""
        nearest, nearest_m = self._homes[0], float("inf")
        for _ in range(_TRIES):
            home = self._rng.choice(self._homes)
            distance_m = home.distance_m(at)
            if distance_m <= self._params.reach_m and self._rng.random() < exp(-distance_m / self._params.near_m):
                return home
            if distance_m < nearest_m:
                nearest, nearest_m = home, distance_m
        return nearest
