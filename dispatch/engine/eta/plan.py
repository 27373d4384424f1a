"""Estimate when each stop of a rider's plan is reached: median and 90th percentile.

The sum follows the plan stop by stop (`service_times`). Ways, kitchens and doors are taken as independent, so their
variances add along the plan; of rider and food the later counts (`waiting.later_of`):

    spread^2 = sum of (travel_cv way)^2 + door_s^2 a stop, and at a counter the later of two spreads:
               the rider's so far, and the kitchen's kitchen_s + kitchen_cv x what is left of the cooking

What becomes of sum and spread at the customer is for `calibration` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot

from dispatch.engine.eta.calibration import Calibration, Quote, Stage
from dispatch.engine.eta.later_of_two import later_of
from dispatch.engine.model import Order, OrderId, Point, Rider, RiderId, Stop, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.service_times import half_s, handover, until_left_s
from node.geodesy import points


@dataclass(frozen=True, slots=True)
class LearnedTimes:
    """Learned corrections: spread of quotes, and each rider's time over that of others (1: as long)."""

    calibration: Calibration = field(default_factory=Calibration)
    pace: Mapping[RiderId, float] = field(default_factory=dict)

    def pace_of(self, rider: Rider, params: EngineParams) -> float:
        """Seconds of this rider's ways over those of the travel model."""
        return params.pace.of(rider.vehicle) * self.pace.get(rider.rider_id, 1.0)


@dataclass(frozen=True, slots=True)
class StopEta:
    """Food handed over at the stop: half the chances before the quote's median, nine tenths before its p90."""

    kind: StopKind
    order_ids: tuple[OrderId, ...]
    quote: Quote

    @property
    def median_ms(self) -> int:
        return self.quote.median_ms

    @property
    def p90_ms(self) -> int:
        return self.quote.p90_ms


def plan_etas(
    rider: Rider,
    position: Point | None,
    orders: Mapping[OrderId, Order],
    now_ms: int,
    travel: TravelTimes,
    params: EngineParams,
    known: LearnedTimes | None = None,
) -> tuple[StopEta, ...]:
    """ETAs of the rider's stops, in order. Without a position the plan's own expectation is the first arrival.

    Orders missing in `orders` count as ready.
    """
    if not rider.stops:
        return ()
    known = known or LearnedTimes()
    hops_s = _hops_s(rider, position, now_ms, travel, known.pace_of(rider, params))
    etas: list[StopEta] = []
    at_s, spread_s = _still_there_s(rider, orders, now_ms, params), 0.0
    stage = Stage.CARRIED
    for stop, hop_s in zip(rider.stops, hops_s, strict=True):
        if stop.kind is StopKind.PICKUP:
            stage = Stage.ASSIGNED
        half = half_s(stop.kind, params.service)
        done_s = handover(at_s + hop_s, half)
        spread_s = hypot(spread_s, params.eta.travel_cv * hop_s, params.eta.door_s)
        cooking_s = _cooking_s(stop, orders, now_ms)
        if cooking_s > 0:
            done_s, spread_s = later_of(done_s, spread_s, cooking_s, kitchen_spread_s(cooking_s, params))
        etas.append(StopEta(stop.kind, stop.order_ids, known.calibration.quote(stage, now_ms, done_s, spread_s)))
        at_s = done_s + half
    return tuple(etas)


def _still_there_s(rider: Rider, orders: Mapping[OrderId, Order], now_ms: int, params: EngineParams) -> float:
    """Time until a rider who has just picked up leaves the counter."""
    if not rider.carrying:
        return 0.0
    picked_ms = (orders[o].picked_up_ms or 0 for s in rider.stops for o in s.order_ids if o in orders)
    return until_left_s(picked_ms, now_ms, half_s(StopKind.PICKUP, params.service))


def kitchen_spread_s(cooking_s: float, params: EngineParams) -> float:
    """Spread of a kitchen's estimate that has so long to go."""
    return params.eta.kitchen_s + params.eta.kitchen_cv * cooking_s if cooking_s > 0 else 0.0


def _hops_s(rider: Rider, position: Point | None, now_ms: int, travel: TravelTimes, pace: float) -> list[float]:
    """Seconds from place to place along the plan; the first is what is left of the way."""
    places = points([s.point for s in rider.stops])
    if rider.arrived:
        first_s = 0.0
    elif position is None:
        first_s = max(0.0, (rider.stops[0].arrive_ms - now_ms) / 1000)
    else:
        first_s = float(travel.matrix(points([position]), places[:1], now_ms)[0, 0]) * pace
    hops = [
        float(travel.matrix(places[i : i + 1], places[i + 1 : i + 2], now_ms)[0, 0]) * pace
        for i in range(len(places) - 1)
    ]
    return [first_s, *hops]


def _cooking_s(stop: Stop, orders: Mapping[OrderId, Order], now_ms: int) -> float:
    """Time until the food of a pickup is ready; 0 if it is, or if nothing is picked up."""
    if stop.kind is not StopKind.PICKUP:
        return 0.0
    found = [orders[o].ready_ms for o in stop.order_ids if o in orders]
    return max(0.0, (max(found, default=now_ms) - now_ms) / 1000)
