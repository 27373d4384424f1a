"""Orders by restaurant, and the ways between the doors of each."""

from __future__ import annotations

import numpy as np

from dispatch.engine.matching.problem import Groups, Ints
from dispatch.engine.ports import Points, TravelTimes
from dispatch.engine.travel.pairs import pair_seconds


def groups_of(restaurant: Ints, restaurants: int, drops: Points, now_ms: int, travel: TravelTimes) -> Groups:
    """Groups of the orders whose restaurant rows are given (n,); all ways are asked in one question.

    A door's way to itself is 0 and not asked.
    """
    rows = np.argsort(restaurant, kind="stable")
    count = np.bincount(restaurant, minlength=restaurants)
    first = np.concatenate([[0], np.cumsum(count)])
    place = np.empty(len(rows), np.int64)
    place[rows] = np.arange(len(rows)) - first[restaurant[rows]]
    legs_first = np.concatenate([[0], np.cumsum(count**2)])
    # Row by row of every square: each order of a restaurant with all of that restaurant.
    origin = np.repeat(np.arange(len(rows)), count[restaurant[rows]])
    within = np.arange(len(origin)) - np.repeat(np.cumsum(count[restaurant[rows]]), count[restaurant[rows]])
    destination = within + count[restaurant[rows]][origin] + first[restaurant[rows]][origin]
    legs_s = np.zeros(len(origin))
    apart = origin != destination
    legs_s[apart] = pair_seconds(travel, drops[rows[origin[apart]]], drops[rows[destination[apart]]], now_ms)
    return Groups(rows, first, place, legs_first, legs_s)
