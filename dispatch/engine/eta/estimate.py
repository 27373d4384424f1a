"""Compute the ETAs that are due in a tick.

Riders whose plan changed are computed at once; of the others so many a tick, in turn, so that the cost of a tick is
bounded and nobody's ETA is older than a few ticks. Orders without a rider are computed when they come and then once a
minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dispatch.engine.eta.calibration import Eta, Stage
from dispatch.engine.eta.learning import CityLearning
from dispatch.engine.eta.open_order import OpenOrder, ahead_of, open_eta, starter_of
from dispatch.engine.eta.plan import LearnedTimes, plan_etas
from dispatch.engine.model import Order, OrderId, OrderStatus, Point, Rider, RiderId, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.state import Draft
from dispatch.positions import PositionSnapshot
from node.geodesy import points

#: Riders computed anew in a tick though nothing happened to their plan.
REFRESHED_A_TICK: Final = 200
#: Orders without a rider are computed anew so often, domain ms, and so many a tick.
OPEN_EVERY_MS: Final = 60_000
OPEN_A_TICK: Final = 50
#: Riders asked for an order that nobody has yet.
STARTERS: Final = 8
#: Spread behind the median where the travel model could not be asked, domain ms.
_BLIND_SPREAD_MS: Final = 300_000
#: Orders in these states have no rider yet.
_WAITING: Final = frozenset({OrderStatus.OPEN, OrderStatus.OFFERED})


@dataclass(frozen=True, slots=True)
class EtaQuestion:
    """Riders with a plan and where each was seen last (None: not lately), orders that nobody has yet, and what the past
    has taught: all that `estimate` needs beside the travel model, so that it can go to a worker process."""

    riders: tuple[Rider, ...]
    places: tuple[Point | None, ...]
    orders: Mapping[OrderId, Order]
    now_ms: int
    opened: tuple[tuple[OrderId, OpenOrder], ...] = ()
    known: LearnedTimes = field(default_factory=LearnedTimes)

    def __bool__(self) -> bool:
        return bool(self.riders or self.opened)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Orders to estimate in a tick; the turns of the next one; and all orders that have an ETA."""

    asked: EtaQuestion
    turns: tuple[RiderId, ...]
    under_way: tuple[OrderId, ...]


def arrivals_to_estimate(
    draft: Draft,
    changed: Iterable[Rider],
    seen: PositionSnapshot,
    etas: Mapping[OrderId, Eta],
    turns: Sequence[RiderId],
    learning: CityLearning,
    params: EngineParams,
) -> Arrivals:
    """Choose riders and open orders whose ETA is due, given those of the tick before."""
    busy = {rider.rider_id: rider for rider in draft.riders() if rider.stops}
    riders, turns = next_in_turn(turns, busy, (rider.rider_id for rider in changed))
    waiting = [order for order in draft.orders() if order.status in _WAITING]
    ordered = {o for rider in riders for o in rider.order_ids}
    asked = EtaQuestion(
        riders=riders,
        places=_places(riders, seen),
        orders={o: found for o in sorted(ordered) if (found := draft.order(o)) is not None},
        now_ms=seen.now_ms,
        opened=_opened(_due_open(waiting, etas, seen.now_ms), draft, seen, learning, params),
        known=learning.known(riders),
    )
    under_way = (*(o for rider in busy.values() for o in rider.order_ids), *(order.order_id for order in waiting))
    return Arrivals(asked, turns, under_way)


def next_in_turn(
    turns: Sequence[RiderId], busy: Mapping[RiderId, Rider], changed: Iterable[RiderId]
) -> tuple[tuple[Rider, ...], tuple[RiderId, ...]]:
    """Changed riders and those who have waited longest, of all with a plan; and the turns after that."""
    known = set(turns)
    line = (*turns, *(rider_id for rider_id in busy if rider_id not in known))
    again = tuple(rider_id for rider_id in line[:REFRESHED_A_TICK] if rider_id in busy)
    chosen = dict.fromkeys((*(rider_id for rider_id in changed if rider_id in busy), *again))
    return tuple(busy[rider_id] for rider_id in chosen), (*line[REFRESHED_A_TICK:], *again)


def _places(riders: Sequence[Rider], seen: PositionSnapshot) -> tuple[Point | None, ...]:
    """Last place of each rider, None for those without a fresh fix."""
    by_id = np.argsort(seen.rider_ids)
    known = seen.rider_ids[by_id]
    ids = np.array([rider.rider_id for rider in riders], np.uint64)
    at = np.searchsorted(known, ids)
    found = at < len(known)
    found[found] = known[at[found]] == ids[found]
    rows = by_id[at[found]]
    places = iter(zip(seen.columns.lat_e7[rows].tolist(), seen.columns.lng_e7[rows].tolist(), strict=True))
    return tuple(Point(*next(places)) if there else None for there in found.tolist())


def _opened(
    new: Sequence[Order], draft: Draft, seen: PositionSnapshot, learning: CityLearning, params: EngineParams
) -> tuple[tuple[OrderId, OpenOrder], ...]:
    """Orders with the riders on shift nearest to their counters."""
    if not new:
        return ()
    riders = {rider.rider_id: rider for rider in draft.riders() if rider.online}
    on_shift = seen.only(np.isin(seen.rider_ids, np.array(sorted(riders), np.uint64)))
    pickups = points([order.pickup for order in new])
    found = on_shift.nearest(pickups[:, 0], pickups[:, 1], STARTERS)
    columns, waiting = on_shift.columns, sum(order.matchable for order in draft.orders())
    opened: list[tuple[OrderId, OpenOrder]] = []
    for order, near in zip(new, found.index.tolist(), strict=True):
        rows = [row for row in near if row >= 0]
        close = [riders[RiderId(int(columns.rider_id[row]))] for row in rows]
        places = [Point(int(columns.lat_e7[row]), int(columns.lng_e7[row])) for row in rows]
        known = learning.known(close)
        starters = tuple(
            starter_of(rider, place, seen.now_ms, known.pace_of(rider, params))
            for rider, place in zip(close, places, strict=True)
        )
        ahead = ahead_of(waiting - 1, len(columns), len(starters))
        opened.append((order.order_id, OpenOrder(order.pickup, order.drop, order.ready_ms, starters, ahead)))
    return tuple(opened)


def _due_open(waiting: Sequence[Order], before: Mapping[OrderId, Eta], now_ms: int) -> tuple[Order, ...]:
    """Orders without a rider whose ETA is missing or old, the oldest first; so many a tick."""

    def made_ms(order: Order) -> int:
        eta = before.get(order.order_id)
        quote = eta.quote if eta is not None else None
        return quote.made_ms if quote is not None and quote.stage is Stage.OPEN else 0

    old = [order for order in waiting if made_ms(order) <= now_ms - OPEN_EVERY_MS]
    return tuple(sorted(old, key=made_ms)[:OPEN_A_TICK])


def estimate(asked: EtaQuestion, travel: TravelTimes, params: EngineParams) -> dict[OrderId, Eta]:
    """ETA at the door of every order in these plans and of the open ones. Asks the travel model some times each."""
    etas: dict[OrderId, Eta] = {}
    for opened_id, opened in asked.opened:
        etas[opened_id] = Eta.of(open_eta(opened, asked.now_ms, travel, params, asked.known.calibration).quote)
    for rider, place in zip(asked.riders, asked.places, strict=True):
        for stop in plan_etas(rider, place, asked.orders, asked.now_ms, travel, params, asked.known):
            if stop.kind is StopKind.DROP:
                etas.update((order_id, Eta.of(stop.quote)) for order_id in stop.order_ids)
    return etas


def planned(asked: EtaQuestion) -> dict[OrderId, Eta]:
    """ETAs from the plans alone, for when the travel model does not answer in time.

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
