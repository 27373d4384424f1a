"""Orders of two restaurants that lie on one way: close counters, close doors, ready at about the same time.

    counter 1 --hop--> counter 2 ----> first door --> second door

The counter whose food is ready sooner comes first; the drop order is the one with the least sum of times at the
doors. Straight distances choose which pairs are looked at, travel times what they cost.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from dispatch.engine.matching.problem import Floats, Ints, Links, OrderColumns
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import Points, TravelTimes
from dispatch.engine.travel.pairs import pair_seconds
from node.geodesy import lng_scales

PARTNERS = 3
"""Other orders looked at for each in a tick: those whose counters and doors lie nearest to its own."""
E7_PER_M = 90.0
"""Of a degree of latitude; a hundredth more or less does not matter for choosing."""


def links_of(
    orders: OrderColumns,
    counters: Points,
    drops: Points,
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
    partners: int = PARTNERS,
) -> Links:
    """Pairs of orders worth fetching in one go; none if `BundleParams.between_m` is 0."""
    bundles = params.bundles
    if bundles.between_m <= 0 or bundles.max_orders < 2 or len(counters) < 2:
        return Links.none()
    shrink = np.array([1.0, lng_scales(counters[:, 0].mean())]) / E7_PER_M
    counters_m, doors_m = counters * shrink, drops * shrink
    near = cKDTree(counters_m).query_pairs(bundles.between_m, output_type="ndarray").astype(np.int64)
    pairs = _order_pairs(orders.restaurant, len(counters), near[np.lexsort(near.T)])
    due_s = np.maximum(orders.ready_s, 0.0)[pairs]
    pairs = pairs[np.abs(due_s[:, 0] - due_s[:, 1]) <= bundles.ready_spread_s]
    at = orders.restaurant[pairs]
    apart_m = _length(counters_m[at[:, 0]] - counters_m[at[:, 1]]) + _length(
        doors_m[pairs[:, 0]] - doors_m[pairs[:, 1]]
    )
    alone_m = _length(counters_m[at[:, 0]] - doors_m[pairs[:, 0]])
    alone_m += _length(counters_m[at[:, 1]] - doors_m[pairs[:, 1]])
    # To go from door to door must be shorter than to ride both ways from the counters.
    keep = apart_m < alone_m
    return _timed(orders, counters, drops, _nearest(pairs[keep], apart_m[keep], partners), now_ms, travel, params)


def _length(delta_m: Floats) -> Floats:
    metres: Floats = np.hypot(delta_m[:, 0], delta_m[:, 1])
    return metres


def _order_pairs(restaurant: Ints, restaurants: int, near: Ints) -> Ints:
    """All pairs of orders (l, 2) of pairs of restaurants (p, 2)."""
    rows = np.argsort(restaurant, kind="stable")
    count = np.bincount(restaurant, minlength=restaurants)
    first = np.concatenate([[0], np.cumsum(count)])
    many = count[near[:, 0]] * count[near[:, 1]]
    pair = np.repeat(np.arange(len(near)), many)
    within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    a, b = near[pair, 0], near[pair, 1]
    return np.stack([rows[first[a] + within // count[b]], rows[first[b] + within % count[b]]], axis=1)


def _nearest(pairs: Ints, apart_m: Floats, partners: int) -> Ints:
    """The pairs that are among the `partners` nearest of one of their two orders."""
    row = np.concatenate([pairs[:, 0], pairs[:, 1]])
    which = np.tile(np.arange(len(pairs)), 2)
    rank = np.lexsort((which, np.tile(apart_m, 2), row))
    place = np.arange(len(row)) - np.searchsorted(row[rank], row[rank])
    return pairs[np.unique(which[rank[place < partners]])]


def _timed(
    orders: OrderColumns,
    counters: Points,
    drops: Points,
    pairs: Ints,
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
) -> Links:
    if len(pairs) == 0:
        return Links.none()
    due_s = np.maximum(orders.ready_s, 0.0)[pairs]
    pairs = np.where((due_s[:, :1] <= due_s[:, 1:]), pairs, pairs[:, ::-1])
    at = orders.restaurant[pairs]
    first, second = drops[pairs[:, 0]], drops[pairs[:, 1]]
    last = counters[at[:, 1]]
    origins = np.concatenate([counters[at[:, 0]], last, last, first, second])
    asked = pair_seconds(travel, origins, np.concatenate([last, first, second, second, first]), now_ms)
    hop_s, to_first_s, to_second_s, on_s, back_s = asked.reshape(5, -1)
    ahead_s = np.stack([to_first_s, on_s], axis=1)
    around_s = np.stack([to_second_s, back_s], axis=1)
    swap = (2 * around_s[:, 0] + around_s[:, 1]) < (2 * ahead_s[:, 0] + ahead_s[:, 1])
    dropped = np.where(swap[:, None], pairs[:, ::-1], pairs)
    return Links(dropped, at, hop_s, np.where(swap[:, None], around_s, ahead_s))
