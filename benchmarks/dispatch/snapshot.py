"""A seeded big city between two ticks: what ticks and matchers are timed on.

Orders of the last quarter of an hour, ready within forty minutes, a restaurant for every four of them, and idle
riders, all strewn evenly over 22 by 22 km. Travel times are those of the free-flow model. About one order in nine is
due at once; `warm` offers those, as a running city has done long ago, and the city is made that much larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.engine.apply import apply
from dispatch.engine.inputs import Input, OfferReplied, OrderOpened, Positions, RiderOnline
from dispatch.engine.matching.problem import Problem
from dispatch.engine.model import Offer, OrderId, Point, RestaurantId, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.pose import pose
from dispatch.engine.state import CityState, Draft
from dispatch.engine.tick import run_matching
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.positions import PositionSnapshot, RiderPositions
from proto.fix_columns import FixColumns

NOW_MS = 3_600_000
RIDERS_PER_ORDER = 5 / 3
ORDERS_PER_RESTAURANT = 4
DUE_AT_ONCE = 0.12
SIDE_E7 = 2_000_000
COOKING_S = 2400
SHIFT_MS = 9 * 3_600_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A city between two ticks, and where its restaurants are."""

    state: CityState
    positions: Positions
    counters: tuple[tuple[int, int], ...]

    def seen(self, now_ms: int) -> PositionSnapshot:
        """The riders' positions as a tick at this moment sees them, a second old."""
        fixes = FixColumns.zeros(len(self.positions.rider_ids))
        fixes.rider_id[:], fixes.session[:], fixes.seq[:] = self.positions.rider_ids, 1, 1
        fixes.ts_ms[:] = now_ms - self.positions.age_ms
        fixes.lat_e7[:], fixes.lng_e7[:] = self.positions.lat_e7, self.positions.lng_e7
        positions = RiderPositions()
        positions.apply(fixes)
        return positions.snapshot(now_ms)

    def problem(self, params: EngineParams, now_ms: int = NOW_MS) -> Problem:
        """The problem of a tick at this moment."""
        return pose(Draft(self.state), self.positions, now_ms, FreeFlowTravel(), params)

    def news(self, offers: tuple[Offer, ...], now_ms: int, rng: np.random.Generator) -> list[Input]:
        """Inputs of the next tick: every offer is accepted, and as many orders are placed anew."""
        accepted = [OfferReplied(now_ms, o.offer_id, o.rider_id, True) for o in offers]
        many = sum(len(o.order_ids) for o in offers)
        return [*accepted, *_placed(f"n{now_ms}", many, self.counters, now_ms, SIDE_E7, rng, fresh=True)]


def big_city(orders: int, seed: int = 1, now_ms: int = NOW_MS) -> Snapshot:
    """A city of `orders` open orders and five riders for three of them, beside those that `warm` takes out."""
    due = round(orders * DUE_AT_ONCE)
    return snapshot(
        orders + due, round(orders * RIDERS_PER_ORDER) + due, orders // ORDERS_PER_RESTAURANT, SIDE_E7, seed, now_ms
    )


def snapshot(orders: int, riders: int, restaurants: int, side_e7: int, seed: int, now_ms: int = NOW_MS) -> Snapshot:
    """A city with so many open orders at `now_ms`."""
    rng = np.random.default_rng(seed)
    counters, places = (rng.integers(-side_e7 // 2, side_e7 // 2, (max(1, n), 2)) for n in (restaurants, riders))
    at = tuple((lat, lng) for lat, lng in counters.tolist())
    opened = _placed("o", orders, at, now_ms, side_e7, rng, fresh=False)
    online = [RiderOnline(0, RiderId(i), now_ms + SHIFT_MS, 4) for i in range(riders)]
    draft = Draft(CityState())
    apply(draft, [*online, *opened], now_ms, EngineParams())
    draft.base.commit(draft.changes())
    age_ms = np.full(riders, 1000)
    ids = np.arange(riders, dtype=np.uint64)
    return Snapshot(draft.base, Positions(ids, places[:, 0], places[:, 1], age_ms), at)


def _placed(
    name: str,
    many: int,
    counters: tuple[tuple[int, int], ...],
    now_ms: int,
    side_e7: int,
    rng: np.random.Generator,
    fresh: bool,
) -> list[OrderOpened]:
    """Orders placed just now and ready at the end of the cooking time, or placed and ready some time around now."""
    doors = rng.integers(-side_e7 // 2, side_e7 // 2, (many, 2)).tolist()
    at = rng.integers(0, len(counters), many).tolist()
    placed = (now_ms - (0 if fresh else 1) * rng.integers(0, 900_000, many)).tolist()
    ready = now_ms + (COOKING_S * 1000 if fresh else rng.integers(0, COOKING_S * 1000, many)) + np.zeros(many, np.int64)
    return [
        OrderOpened(
            at_ms=placed[i],
            order_id=OrderId(f"{name}-{i:05}"),
            restaurant_id=RestaurantId(f"r{at[i]}"),
            pickup=Point(*counters[at[i]]),
            drop=Point(*doors[i]),
            placed_ms=placed[i],
            ready_ms=int(ready[i]),
            promised_ms=placed[i] + 2_700_000,
        )
        for i in range(many)
    ]


def warm(city: Snapshot, params: EngineParams, now_ms: int = NOW_MS) -> None:
    """Offer what is due at once, and have it accepted."""
    matched = run_matching(city.state, [], city.positions, now_ms, FreeFlowTravel(), params, "warm")
    accepted = [OfferReplied(now_ms, o.offer_id, o.rider_id, True) for o in matched.decisions.offers]
    apply(matched.draft, accepted, now_ms, params)
    city.state.commit(matched.draft.changes())
