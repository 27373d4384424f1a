"""When each order should be at its door: `dispatch.eta` over the riders of a city, and over its new orders.

Riders whose plan changed are computed at once; of the others so many a tick, in turn, that the cost of a tick is
bounded and nobody's ETA is older than a few ticks. Orders without a rider are computed when they come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dispatch.engine.eta.calibration import Stage
from dispatch.engine.eta.open_order import OpenOrder, ahead_of, open_eta, starter_of
from dispatch.engine.eta.plan import Known, plan_etas
from dispatch.engine.model import Order, OrderId, OrderStatus, Point, Rider, RiderId, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.state import Draft
from dispatch.engine.tracks import Eta
from dispatch.positions import PositionSnapshot
from dispatch.shard.city import City
from node.geodesy import points

#: Riders computed anew in a tick though nothing happened to their plan.
REFRESHED_A_TICK = 200


#: Spread behind the median where the travel model could not be asked, domain ms.
_BLIND_SPREAD_MS = 300_000


#: Orders without a rider are computed anew so often, domain ms, and so many a tick.
OPEN_EVERY_MS = 60_000


OPEN_A_TICK = 50


#: These have none yet.
WAITING = frozenset({OrderStatus.OPEN, OrderStatus.OFFERED})


#: Riders asked for an order that nobody has yet.
STARTERS = 8


@dataclass(frozen=True, slots=True)
class EtaQuestion:
    """Riders with a plan and where each was seen last (None: not lately), orders new to the city, and what the past has
    taught; what goes to the worker. `travel` is the city's own travel model, where it has one."""

    riders: tuple[Rider, ...]
    places: tuple[Point | None, ...]
    orders: Mapping[OrderId, Order]
    now_ms: int
    opened: tuple[tuple[OrderId, OpenOrder], ...] = ()
    known: Known = field(default_factory=Known)
    travel: TravelTimes | None = None


class EtaTurns:
    """Whose turn it is."""

    def __init__(self) -> None:
        self._turns: deque[RiderId] = deque()
        self._waiting: set[RiderId] = set()

    def next_riders(self, busy: Mapping[RiderId, Rider], changed: Iterable[RiderId]) -> tuple[Rider, ...]:
        """Changed riders, and those who have waited longest; only such that have a plan."""
        for rider_id in busy:
            if rider_id not in self._waiting:
                self._waiting.add(rider_id)
                self._turns.append(rider_id)
        chosen = {rider_id: busy[rider_id] for rider_id in changed if rider_id in busy}
        for _ in range(min(len(self._turns), REFRESHED_A_TICK)):
            rider_id = self._turns.popleft()
            if rider_id in busy:
                chosen[rider_id] = busy[rider_id]
                self._turns.append(rider_id)
            else:
                self._waiting.discard(rider_id)
        return tuple(chosen.values())


def question(
    riders: tuple[Rider, ...],
    new: Sequence[Order],
    city: City,
    draft: Draft,
    snapshot: PositionSnapshot,
    params: EngineParams,
) -> EtaQuestion:
    """What to ask about these riders, and about orders that nobody has yet."""
    now_ms = snapshot.now_ms
    ids = np.array([rider.rider_id for rider in riders], np.uint64)
    last, age_ms, seen = city.positions.positions_of(ids, now_ms)
    fresh = (seen & (age_ms <= city.stale_after_ms)).tolist()
    rows = zip(fresh, last.lat_e7.tolist(), last.lng_e7.tolist(), strict=True)
    places = tuple(Point(lat, lng) if known else None for known, lat, lng in rows)
    ordered = {o for rider in riders for stop in rider.stops for o in stop.order_ids}
    orders = {o: found for o in sorted(ordered) if (found := draft.order(o)) is not None}
    opened = _opened(new, city, draft, snapshot, params)
    return EtaQuestion(riders, places, orders, now_ms, opened, city.learning.known(riders), city.travel)


def _opened(
    new: Sequence[Order], city: City, draft: Draft, snapshot: PositionSnapshot, params: EngineParams
) -> tuple[tuple[OrderId, OpenOrder], ...]:
    """Orders with the riders on shift nearest to their counters."""
    if not new:
        return ()
    riders = {rider.rider_id: rider for rider in draft.riders() if rider.online}
    on_shift = snapshot.only(np.isin(snapshot.rider_ids, np.array(sorted(riders), np.uint64)))
    pickups = points([order.pickup for order in new])
    found = on_shift.nearest(pickups[:, 0], pickups[:, 1], STARTERS)
    columns, waiting = on_shift.columns, sum(order.matchable for order in draft.orders())
    opened: list[tuple[OrderId, OpenOrder]] = []
    for order, near in zip(new, found.index.tolist(), strict=True):
        rows = [row for row in near if row >= 0]
        close = [riders[RiderId(int(columns.rider_id[row]))] for row in rows]
        known = city.learning.known(close)
        starters = tuple(
            starter_of(
                rider,
                Point(int(columns.lat_e7[row]), int(columns.lng_e7[row])),
                snapshot.now_ms,
                known.pace_of(rider, params),
            )
            for rider, row in zip(close, rows, strict=True)
        )
        ahead = ahead_of(waiting - 1, len(columns), len(starters))
        opened.append((order.order_id, OpenOrder(order.pickup, order.drop, order.ready_ms, starters, ahead)))
    return tuple(opened)


def due_open(waiting: Sequence[Order], before: Mapping[OrderId, Eta], now_ms: int) -> tuple[Order, ...]:
    """Orders without a rider whose ETA is missing or old, the oldest first; so many a tick."""

    def made_ms(order: Order) -> int:
        eta = before.get(order.order_id)
        quote = eta.quote if eta is not None else None
        return quote.made_ms if quote is not None and quote.stage is Stage.OPEN else 0

    old = [order for order in waiting if made_ms(order) <= now_ms - OPEN_EVERY_MS]
    return tuple(sorted(old, key=made_ms)[:OPEN_A_TICK])


def answer(asked: EtaQuestion, travel: TravelTimes, params: EngineParams) -> dict[OrderId, Eta]:
    """ETA at the door of every order in these plans and of the new ones. Asks the travel model some times each."""
    etas: dict[OrderId, Eta] = {}
    for opened_id, opened in asked.opened:
        etas[opened_id] = Eta.of(open_eta(opened, asked.now_ms, travel, params, asked.known.calibration).quote)
    for rider, place in zip(asked.riders, asked.places, strict=True):
        for stop in plan_etas(rider, place, asked.orders, asked.now_ms, travel, params, asked.known):
            if stop.kind is StopKind.DROP:
                etas.update((order_id, Eta.of(stop.quote)) for order_id in stop.order_ids)
    return etas


def planned(asked: EtaQuestion) -> dict[OrderId, Eta]:
    """The same from the plans alone, for when the travel model does not answer in time.

    A rider who is behind its plan is taken to do the next stop just now.
    """
    etas: dict[OrderId, Eta] = {}
    for rider in asked.riders:
        late_ms = max(0, asked.now_ms - rider.stops[0].done_ms) if rider.stops else 0
        for stop in rider.stops:
            if stop.kind is StopKind.DROP:
                median_ms = stop.done_ms + late_ms
                eta = Eta(median_ms, median_ms + _BLIND_SPREAD_MS)
                etas.update((order_id, eta) for order_id in stop.order_ids)
    return etas


def carried_on(
    before: Mapping[OrderId, Eta], fresh: Mapping[OrderId, Eta], order_ids: Iterable[OrderId]
) -> dict[OrderId, Eta]:
    """ETAs of these orders: fresh ones, else as they were."""
    etas: dict[OrderId, Eta] = {}
    for order_id in order_ids:
        eta = fresh.get(order_id) or before.get(order_id)
        if eta is not None:
            etas[order_id] = eta
    return etas
