"""When each carried order should be at its door: `dispatch.eta` over the riders of a city.

Riders whose plan changed are computed at once; of the others so many a tick, in turn, that the cost of a tick is
bounded and nobody's ETA is older than a few ticks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dispatch.eta.plan import plan_etas
from dispatch.live.city import City
from dispatch.live.tracks import Eta
from dispatch.model import Order, OrderId, Point, Rider, RiderId, StopKind
from dispatch.params import EngineParams
from dispatch.ports import TravelTimes

#: Riders computed anew in a tick though nothing happened to their plan.
REFRESHED_A_TICK = 200
#: Spread behind the median where the travel model could not be asked, domain ms.
_BLIND_SPREAD_MS = 300_000


@dataclass(frozen=True, slots=True)
class EtaQuestion:
    """Riders with a plan and where each was seen last (None: not lately); what goes to the worker."""

    riders: tuple[Rider, ...]
    places: tuple[Point | None, ...]
    orders: Mapping[OrderId, Order]
    now_ms: int


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


def question(riders: tuple[Rider, ...], city: City, orders: Mapping[OrderId, Order], now_ms: int) -> EtaQuestion:
    """What to ask about these riders."""
    ids = np.array([rider.rider_id for rider in riders], np.uint64)
    last, age_ms, seen = city.positions.positions_of(ids, now_ms)
    fresh = (seen & (age_ms <= city.stale_after_ms)).tolist()
    rows = zip(fresh, last.lat_e7.tolist(), last.lng_e7.tolist(), strict=True)
    places = tuple(Point(lat, lng) if known else None for known, lat, lng in rows)
    wanted = {o: orders[o] for rider in riders for stop in rider.stops for o in stop.order_ids if o in orders}
    return EtaQuestion(riders, places, wanted, now_ms)


def answer(asked: EtaQuestion, travel: TravelTimes, params: EngineParams) -> dict[OrderId, Eta]:
    """ETA at the door of every order in these plans. Asks the travel model some times a rider."""
    etas: dict[OrderId, Eta] = {}
    for rider, place in zip(asked.riders, asked.places, strict=True):
        for stop in plan_etas(rider, place, asked.orders, asked.now_ms, travel, params):
            if stop.kind is StopKind.DROP:
                etas.update((order_id, Eta(stop.median_ms, stop.p90_ms)) for order_id in stop.order_ids)
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
    before: Mapping[OrderId, Eta], fresh: Mapping[OrderId, Eta], busy: Iterable[Rider]
) -> dict[OrderId, Eta]:
    """ETAs of all orders in plans: fresh ones, else as they were."""
    etas: dict[OrderId, Eta] = {}
    for rider in busy:
        for order_id in rider.order_ids:
            eta = fresh.get(order_id) or before.get(order_id)
            if eta is not None:
                etas[order_id] = eta
    return etas
