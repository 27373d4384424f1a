"""State, positions and travel times to one tick's Problem."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.inputs import Positions
from dispatch.engine.matching.candidates import nearest_riders
from dispatch.engine.matching.groups import groups_of
from dispatch.engine.matching.links import links_of
from dispatch.engine.matching.problem import ANY_ZONE, CandidateEdges, Ints, OrderColumns, Problem, RiderColumns
from dispatch.engine.model import Order, OrderStatus, Point, RestaurantId, Rider, RiderId, StopKind, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import Points, TravelTimes
from dispatch.engine.state import Draft
from dispatch.engine.travel.pairs import pair_seconds
from node.geodesy import points


def pose(draft: Draft, positions: Positions, now_ms: int, travel: TravelTimes, params: EngineParams) -> Problem:
    """The question of this tick: open orders, riders who may be asked, ways between them."""
    open_orders = [o for o in draft.orders() if o.matchable or _still_moves(o, draft, now_ms, params)]
    places = {o.restaurant_id: o.pickup for o in open_orders}
    restaurant_ids = tuple(sorted(places))
    row_of = {name: i for i, name in enumerate(restaurant_ids)}
    counters = points([places[r] for r in restaurant_ids])
    restaurant = np.array([row_of[o.restaurant_id] for o in open_orders], np.int64)

    zones = _Zones()
    asked = _AskedRiders(draft.riders(), positions, now_ms, row_of, zones, params)
    drops = points([o.drop for o in open_orders])
    orders = _orders(open_orders, restaurant, asked.row_of, zones, now_ms)
    orders.direct_s[:] = pair_seconds(travel, counters[restaurant], drops, now_ms)
    return Problem(
        now_ms=now_ms,
        orders=orders,
        riders=asked.riders,
        edges=_edges(asked, counters, now_ms, travel, params),
        restaurant_ids=restaurant_ids,
        groups=groups_of(restaurant, len(restaurant_ids), drops, now_ms, travel),
        links=links_of(orders, counters, drops, now_ms, travel, params),
        barred=_barred(draft, open_orders, asked.row_of, now_ms),
    )


def _still_moves(order: Order, draft: Draft, now_ms: int, params: EngineParams) -> bool:
    """An accepted order whose rider is still on the way to its counter, and has nothing else to fetch."""
    if not params.rebundle or order.status is not OrderStatus.ASSIGNED or order.rider_id is None:
        return False
    holder = draft.rider(order.rider_id)
    return (
        holder is not None
        and _may_be_asked(holder, now_ms, params)
        and holder.heading == order.restaurant_id
        and not _fetches_twice(holder)
    )


def _may_be_asked(rider: Rider, now_ms: int, params: EngineParams) -> bool:
    return (
        rider.online
        and not rider.lent
        and rider.offer_id is None
        and rider.shift_end_ms >= now_ms
        and not _out_of_sight(rider, now_ms, params)
    )


def _out_of_sight(rider: Rider, now_ms: int, params: EngineParams) -> bool:
    """A rider with something to do has shown no usable fix for longer than one may be old."""
    return rider.unseen_ms is not None and now_ms - rider.unseen_ms > params.candidates.max_age_s * 1000


def _fetches_twice(rider: Rider) -> bool:
    """Whether a pickup lies behind the stop ahead, or food of another counter is on board: the plan stays as it is."""
    stops = rider.stops
    if any(s.kind is StopKind.PICKUP for s in stops[1:]):
        return True
    doors = sum(s.kind is StopKind.DROP for s in stops)
    return stops[0].kind is StopKind.PICKUP and doors > len(stops[0].order_ids)


class _Zones(dict[str, int]):
    """A number for every name of a zone, in the order of asking."""

    def __missing__(self, name: str) -> int:
        self[name] = ANY_ZONE if not name else len(self)
        return self[name]


def _orders(
    orders: list[Order], restaurant: Ints, rider_row: dict[RiderId, int], zones: _Zones, now_ms: int
) -> OrderColumns:
    """The columns of the orders; `direct_s` is left to be filled."""
    times = np.array([(o.placed_ms, o.ready_ms, o.promised_ms) for o in orders], np.int64).reshape(-1, 3)
    placed_s, ready_s, promised_s = np.ascontiguousarray((times - now_ms).T) / 1000.0
    return OrderColumns(
        ids=tuple([o.order_id for o in orders]),
        restaurant=restaurant,
        placed_s=placed_s,
        ready_s=ready_s,
        promised_s=promised_s,
        size=np.array([o.size for o in orders], np.int64),
        direct_s=np.zeros(len(orders)),
        holder=np.array([-1 if o.rider_id is None else rider_row.get(o.rider_id, -1) for o in orders], np.int64),
        zone=np.array([zones[o.zone] for o in orders], np.int64),
    )


class _AskedRiders:
    """The riders of a tick who may be asked, and where each can start from.

    Nearly all riders are asked in nearly all ticks, so this loop is kept free of anything that costs: only those
    with stops get more than a look.
    """

    def __init__(
        self,
        riders: list[Rider],
        positions: Positions,
        now_ms: int,
        restaurant_row: dict[RestaurantId, int],
        zones: _Zones,
        params: EngineParams,
    ) -> None:
        fresh = positions.age_ms <= params.candidates.max_age_s * 1000
        at_of = dict(zip(positions.rider_ids[fresh].tolist(), np.flatnonzero(fresh).tolist(), strict=True))
        latest_ms = now_ms + round(params.candidates.horizon_s * 1000)
        asked: list[Rider] = []
        at: list[int] = []
        planned: list[tuple[int, Point, int, int]] = []
        for rider in riders:
            if not _may_be_asked(rider, now_ms, params):
                continue
            if rider.stops:
                start = _after_plan(rider, latest_ms, restaurant_row, params)
                if start is not None:
                    planned.append((len(asked), *start))
                    asked.append(rider)
                    at.append(-1)
                continue
            row = at_of.get(rider.rider_id)
            if row is not None:
                asked.append(rider)
                at.append(row)
        self.row_of: dict[RiderId, int] = {rider.rider_id: row for row, rider in enumerate(asked)}
        self.places, age_s, start_ms, heading = _starts(asked, at, planned, positions)
        self.riders = RiderColumns(
            ids=tuple(self.row_of),
            free_s=(np.maximum(start_ms, np.where(heading < 0, now_ms, start_ms)) - now_ms) / 1000.0,
            shift_end_s=(np.array([r.shift_end_ms for r in asked], np.int64) - now_ms) / 1000.0,
            room=np.array([r.capacity for r in asked], np.int64),
            age_s=age_s,
            pace=_by_vehicle(asked, {v: params.pace.of(v) for v in Vehicle}),
            heading=heading,
            zone=np.array([zones[r.zone] for r in asked], np.int64),
            reach_s=_by_vehicle(asked, {v: params.reach.of(v) for v in Vehicle}),
            stops=_stops_left(asked, planned, params),
            refusal=_refusal(asked, params),
        )


def _after_plan(
    rider: Rider, latest_ms: int, restaurant_row: dict[RestaurantId, int], params: EngineParams
) -> tuple[Point, int, int] | None:
    """Place and time of a busy rider's next start, and the restaurant row it heads for; None: not to be asked."""
    if _fetches_twice(rider):
        return None
    heading = rider.heading
    if heading is None:
        last = rider.stops[-1]
        return None if last.leave_ms > latest_ms else (last.point, last.leave_ms, -1)
    if not params.rebundle or heading not in restaurant_row:
        return None
    return rider.stops[0].point, rider.stops[0].arrive_ms, restaurant_row[heading]


def _starts(
    asked: list[Rider], at: list[int], planned: list[tuple[int, Point, int, int]], positions: Positions
) -> tuple[Points, NDArray[np.float64], Ints, Ints]:
    """Places, seconds since the fix there, when free (ms) and heading of the asked riders.

    A busy rider starts from its last stop, not from where it was seen: no fix makes that place any surer.
    """
    row = np.array(at, np.int64)
    places, age_s = np.zeros((len(asked), 2), np.int64), np.zeros(len(asked))
    seen = row >= 0
    places[seen, 0], places[seen, 1] = positions.lat_e7[row[seen]], positions.lng_e7[row[seen]]
    age_s[seen] = positions.age_ms[row[seen]] / 1000.0
    start_ms = np.array([r.rested_ms for r in asked], np.int64)
    heading = np.full(len(asked), -1)
    for i, place, free_ms, bound_for in planned:
        places[i] = place.lat_e7, place.lng_e7
        start_ms[i], heading[i] = free_ms, bound_for
    return places, age_s, start_ms, heading


def _by_vehicle(riders: list[Rider], values: dict[Vehicle, float]) -> NDArray[np.float64]:
    return np.array([values[r.vehicle] for r in riders], np.float64)


def _stops_left(asked: list[Rider], planned: list[tuple[int, Point, int, int]], params: EngineParams) -> Ints:
    """Stops a trip may add. A plan that is still open (the rider heads for its counter) is made anew as a whole."""
    stops = np.full(len(asked), params.bundles.max_stops)
    for i, _, _, heading in planned:
        if heading < 0:
            stops[i] -= len(asked[i].stops)
    return stops


def _refusal(asked: list[Rider], params: EngineParams) -> NDArray[np.float64]:
    """Chance of a no from what the rider has answered, starting at the prior."""
    prior, trust = params.acceptance.refusal, params.acceptance.trust
    counts = np.array([(r.offers_refused, r.offers_answered) for r in asked], np.float64).reshape(-1, 2)
    chance: NDArray[np.float64] = (counts[:, 0] + prior * trust) / (counts[:, 1] + trust)
    return chance


def _edges(
    asked: _AskedRiders, counters: Points, now_ms: int, travel: TravelTimes, params: EngineParams
) -> CandidateEdges:
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
    return CandidateEdges(rider[order], restaurant[order], approach_s[order])


def _barred(draft: Draft, orders: list[Order], rider_row: dict[RiderId, int], now_ms: int) -> Ints:
    live = {key: until_ms for key, until_ms in draft.cooldowns().items() if until_ms > now_ms}
    if not live:
        return np.zeros((0, 2), np.int64)
    order_row = {o.order_id: i for i, o in enumerate(orders)}
    pairs = [
        (rider_row[rider_id], order_row[order_id])
        for rider_id, order_id in sorted(live)
        if rider_id in rider_row and order_id in order_row
    ]
    barred: NDArray[np.int64] = np.array(pairs, np.int64).reshape(-1, 2)
    return barred
