"""State, positions and travel times to one tick's Problem."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.inputs import Positions
from dispatch.matching.candidates import nearest_riders
from dispatch.matching.problem import Edges, Ints, Orders, Problem, Riders
from dispatch.model import Order, OrderStatus, Point, RestaurantId, Rider, RiderId
from dispatch.params import EngineParams
from dispatch.ports import Points, TravelTimes
from dispatch.state import Draft
from dispatch.travel.pairs import pair_seconds


def pose(draft: Draft, positions: Positions, now_ms: int, travel: TravelTimes, params: EngineParams) -> Problem:
    """The question of this tick: open orders, riders who may be asked, ways between them."""
    open_orders = [o for o in draft.orders() if _to_match(o, draft, now_ms, params)]
    restaurant_ids = tuple(sorted({o.restaurant_id for o in open_orders}))
    row_of = {rid: i for i, rid in enumerate(restaurant_ids)}
    places: dict[RestaurantId, Point] = {o.restaurant_id: o.pickup for o in open_orders}
    counters = _points([places[r] for r in restaurant_ids])

    asked = _AskedRiders(draft.riders(), positions, now_ms, row_of, params)
    orders = _orders(open_orders, asked.row_of, row_of, counters, now_ms, travel)
    drops = _points([o.drop for o in open_orders])
    members = tuple(np.flatnonzero(orders.restaurant == k) for k in range(len(restaurant_ids)))
    return Problem(
        now_ms=now_ms,
        orders=orders,
        riders=asked.riders,
        edges=_edges(asked, counters, now_ms, travel, params),
        restaurant_ids=restaurant_ids,
        members=members,
        legs_s=tuple(travel.matrix(drops[m], drops[m], now_ms) for m in members),
        barred=_barred(draft, open_orders, asked.row_of, now_ms),
    )


def _to_match(order: Order, draft: Draft, now_ms: int, params: EngineParams) -> bool:
    """Open orders, and accepted ones whose rider is still on the way to the counter."""
    if order.matchable:
        return True
    if not params.rebundle or order.status is not OrderStatus.ASSIGNED or order.rider_id is None:
        return False
    holder = draft.rider(order.rider_id)
    return holder is not None and _may_be_asked(holder, now_ms) and holder.heading == order.restaurant_id


def _may_be_asked(rider: Rider, now_ms: int) -> bool:
    return rider.online and rider.offer_id is None and rider.shift_end_ms >= now_ms


def _points(places: list[Point]) -> Points:
    return np.array([(p.lat_e7, p.lng_e7) for p in places], np.int64).reshape(-1, 2)


def _orders(
    orders: list[Order],
    rider_row: dict[RiderId, int],
    restaurant_row: dict[RestaurantId, int],
    counters: Points,
    now_ms: int,
    travel: TravelTimes,
) -> Orders:
    restaurant = np.array([restaurant_row[o.restaurant_id] for o in orders], np.int64)
    drops = _points([o.drop for o in orders])
    times = np.array([(o.placed_ms, o.ready_ms, o.promised_ms) for o in orders], np.int64).reshape(-1, 3)
    placed_s, ready_s, promised_s = (times - now_ms).T / 1000.0
    return Orders(
        ids=tuple(o.order_id for o in orders),
        restaurant=restaurant,
        placed_s=placed_s,
        ready_s=ready_s,
        promised_s=promised_s,
        size=np.array([o.size for o in orders], np.int64),
        direct_s=pair_seconds(travel, counters[restaurant], drops, now_ms),
        holder=np.array([-1 if o.rider_id is None else rider_row.get(o.rider_id, -1) for o in orders], np.int64),
    )


class _AskedRiders:
    """The riders of a tick who may be asked, and where each can start from."""

    def __init__(
        self,
        riders: list[Rider],
        positions: Positions,
        now_ms: int,
        restaurant_row: dict[RestaurantId, int],
        params: EngineParams,
    ) -> None:
        seen = {int(r): i for i, r in enumerate(positions.rider_ids)}
        max_age_ms = params.candidates.max_age_s * 1000
        latest_ms = now_ms + round(params.candidates.horizon_s * 1000)
        self.row_of: dict[RiderId, int] = {}
        rows: list[tuple[Rider, Point, int, int]] = []
        for rider in riders:
            if not _may_be_asked(rider, now_ms):
                continue
            at = seen.get(rider.rider_id)
            age_ms = 0 if at is None else int(positions.age_ms[at])
            heading = rider.heading
            if rider.stops:
                if (heading is None and rider.free_ms > latest_ms) or _has_next_pickup(rider):
                    continue
                if heading is not None and (not params.rebundle or heading not in restaurant_row):
                    continue
                place = rider.stops[-1].point if heading is None else rider.stops[0].point
            elif at is None or age_ms > max_age_ms:
                continue
            else:
                place = Point(int(positions.lat_e7[at]), int(positions.lng_e7[at]))
            self.row_of[rider.rider_id] = len(rows)
            rows.append((rider, place, age_ms, -1 if heading is None else restaurant_row[heading]))
        self.places = _points([place for _, place, _, _ in rows])
        self.riders = _riders(rows, now_ms, params)


def _has_next_pickup(rider: Rider) -> bool:
    return rider.carrying and any(s.kind == "pickup" for s in rider.stops)


def _riders(rows: list[tuple[Rider, Point, int, int]], now_ms: int, params: EngineParams) -> Riders:
    def starts_ms(rider: Rider) -> int:
        return rider.stops[0].arrive_ms if rider.heading is not None else max(now_ms, rider.free_ms)

    return Riders(
        ids=tuple(rider.rider_id for rider, _, _, _ in rows),
        free_s=np.array([starts_ms(rider) - now_ms for rider, _, _, _ in rows], np.float64) / 1000.0,
        shift_end_s=np.array([rider.shift_end_ms - now_ms for rider, _, _, _ in rows], np.float64) / 1000.0,
        room=np.array([rider.capacity for rider, _, _, _ in rows], np.int64),
        age_s=np.array([age_ms for _, _, age_ms, _ in rows], np.float64) / 1000.0,
        pace=np.array([params.pace.of(rider.vehicle) for rider, _, _, _ in rows], np.float64),
        heading=np.array([heading for _, _, _, heading in rows], np.int64),
    )


def _edges(asked: _AskedRiders, counters: Points, now_ms: int, travel: TravelTimes, params: EngineParams) -> Edges:
    """Nearest unbound riders of every restaurant, and bound ones to the restaurant they head for."""
    heading = asked.riders.heading
    unbound, bound = np.flatnonzero(heading < 0), np.flatnonzero(heading >= 0)
    near, restaurant = nearest_riders(asked.places[unbound], counters, params.candidates.per_restaurant)
    rider = unbound[near]
    approach_s = pair_seconds(travel, asked.places[rider], counters[restaurant], now_ms)
    keep = approach_s <= params.candidates.max_approach_s
    rider = np.concatenate([rider[keep], bound])
    restaurant = np.concatenate([restaurant[keep], heading[bound]])
    approach_s = np.concatenate([approach_s[keep], np.zeros(len(bound))])
    order = np.lexsort((rider, restaurant))
    return Edges(rider[order], restaurant[order], approach_s[order])


def _barred(draft: Draft, orders: list[Order], rider_row: dict[RiderId, int], now_ms: int) -> Ints:
    order_row = {o.order_id: i for i, o in enumerate(orders)}
    pairs = [
        (rider_row[rider_id], order_row[order_id])
        for (rider_id, order_id), until_ms in sorted(draft.cooldowns().items())
        if until_ms > now_ms and rider_id in rider_row and order_id in order_row
    ]
    barred: NDArray[np.int64] = np.array(pairs, np.int64).reshape(-1, 2)
    return barred
