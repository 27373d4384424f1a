"""The matching problem of one tick and its solution, as arrays for the solver's process.

All times are seconds relative to `now_ms`; negative ones lie in the past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.model import OrderId, RestaurantId, RiderId

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ANY_ZONE = -1
"""Zone of an order that anybody may carry, and of a rider who may carry any."""


@dataclass(frozen=True, slots=True, eq=False)
class OrderColumns:
    """Orders to be matched, one row each. `restaurant` indexes `Problem.restaurant_ids`.

    `direct_s` is the way from restaurant to customer. `holder` is the row of the rider who has
    accepted the order but not yet picked it up, or -1. `zone` is a number of its own for every zone of the tick.
    """

    ids: tuple[OrderId, ...]
    restaurant: Ints
    placed_s: Floats
    ready_s: Floats
    promised_s: Floats
    size: Ints
    direct_s: Floats
    holder: Ints
    zone: Ints


@dataclass(frozen=True, slots=True, eq=False)
class RiderColumns:
    """Riders who may be asked, one row each.

    `free_s` is when the rider can start for a pickup, `room` the capacity then. `heading` is the restaurant
    row it is already bound for, or -1; `free_s` is then its arrival there, maybe past. `pace` multiplies
    travel times; `reach_s` is the longest way to a door it is asked to ride, at its own pace. `stops` is how many
    stops a trip given now may have. `refusal` is the chance that it declines an offer, or does not answer.
    """

    ids: tuple[RiderId, ...]
    free_s: Floats
    shift_end_s: Floats
    room: Ints
    age_s: Floats
    pace: Floats
    heading: Ints
    zone: Ints
    reach_s: Floats
    stops: Ints
    refusal: Floats


@dataclass(frozen=True, slots=True, eq=False)
class CandidateEdges:
    """Riders near restaurants: who could pick up where, and how long the way there takes.

    Sorted by restaurant, then rider; each pair once.
    """

    rider: Ints
    restaurant: Ints
    approach_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The orders of each restaurant, and the ways between their doors.

    `rows` (n,) are the order rows, restaurant by restaurant; those of restaurant k begin at `first[k]` (k + 1,).
    `place` (n,) is where an order stands within its restaurant. `legs_s` holds a square of ways for each
    restaurant, beginning at `legs_first[k]`.
    """

    rows: Ints
    first: Ints
    place: Ints
    legs_first: Ints
    legs_s: Floats

    @property
    def count(self) -> Ints:
        """Orders of each restaurant, (k,)."""
        count: Ints = np.diff(self.first)
        return count

    def leg_s(self, restaurant: Ints, origin: Ints, destination: Ints) -> Floats:
        """Seconds from door to door, between order rows of the same restaurant; the shapes broadcast."""
        at = self.legs_first[restaurant] + self.place[origin] * self.count[restaurant] + self.place[destination]
        way_s: Floats = self.legs_s[at]
        return way_s


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Pairs of orders of two restaurants that lie on one way: fetched one after the other, then dropped.

    Shape (l, 2): `orders` in the order of their drops, `counters` restaurant rows in the order of the pickups.
    `hop_s` (l,) from counter to counter; `ways_s` (l, 2) from the second counter to the first door, then on.
    """

    orders: Ints
    counters: Ints
    hop_s: Floats
    ways_s: Floats

    @staticmethod
    def none() -> Links:
        """Links of a problem in which nothing lies on one way."""
        no, none_s = np.zeros((0, 2), np.int64), np.zeros((0, 2))
        return Links(no, no, np.zeros(0), none_s)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """All a solver needs. `barred` (b, 2) are (rider row, order row) pairs not to be made."""

    now_ms: int
    orders: OrderColumns
    riders: RiderColumns
    edges: CandidateEdges
    restaurant_ids: tuple[RestaurantId, ...]
    groups: Groups
    links: Links
    barred: Ints


@dataclass(frozen=True, slots=True)
class Assigned:
    """Orders (rows, in the order of their drops) that one rider (row) is meant to take.

    `link` is the row of `Problem.links` for orders of two restaurants, else -1.
    """

    rider: int
    orders: tuple[int, ...]
    link: int = -1


@dataclass(frozen=True, slots=True)
class Solution:
    """A solver's answer. `cost` includes the price of orders left open; `work` counts its own steps.

    `fallback` names why greedy had to answer instead ("" if it had not). `busy_price` is what the strategy added to the
    cost of a rider's second.
    """

    assigned: tuple[Assigned, ...]
    status: str
    work: int
    cost: float
    strategy: str
    fallback: str = ""
    busy_price: float = 0.0
