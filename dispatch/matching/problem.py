"""One tick's question and its answer, as arrays: what goes to the solver's process and back.

All times are seconds relative to `now_ms`; negative ones lie in the past.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.model import OrderId, RestaurantId, RiderId

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Orders to be matched, one row each. `restaurant` indexes `Problem.restaurant_ids`.

    `direct_s` is the way from restaurant to customer. `holder` is the row of the rider who has
    accepted the order but not yet picked it up, or -1.
    """

    ids: tuple[OrderId, ...]
    restaurant: Ints
    placed_s: Floats
    ready_s: Floats
    promised_s: Floats
    size: Ints
    direct_s: Floats
    holder: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Riders:
    """Riders who may be asked, one row each.

    `free_s` is when the rider can start for a pickup, `room` the capacity then. `heading` is the restaurant
    row it is already bound for, or -1; `free_s` is then its arrival there, maybe past. `pace` multiplies
    travel times.
    """

    ids: tuple[RiderId, ...]
    free_s: Floats
    shift_end_s: Floats
    room: Ints
    age_s: Floats
    pace: Floats
    heading: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Edges:
    """Riders near restaurants: who could pick up where, and how long the way there takes.

    Sorted by restaurant, then rider; each pair once.
    """

    rider: Ints
    restaurant: Ints
    approach_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """All a solver needs. `legs_s[k]` holds the ways between the drops of restaurant k's orders,
    whose rows are `members[k]`. `barred` are (rider row, order row) pairs not to be made."""

    now_ms: int
    orders: Orders
    riders: Riders
    edges: Edges
    restaurant_ids: tuple[RestaurantId, ...]
    members: tuple[Ints, ...]
    legs_s: tuple[Floats, ...]
    barred: Ints


@dataclass(frozen=True, slots=True)
class Assigned:
    """Orders (rows, in the order of their drops) that one rider (row) is meant to take."""

    rider: int
    orders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Solution:
    """A solver's answer. `cost` includes the price of orders left open; `work` counts its own steps.

    `fallback` names why greedy had to answer instead ("" if it had not).
    """

    assigned: tuple[Assigned, ...]
    status: str
    work: int
    cost: float
    strategy: str
    fallback: str = ""
