"""The ETA of an order that no rider has yet, placed or only asked about: somebody near will come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np

from dispatch.engine.eta.calibration import Calibration, Quote, Stage
from dispatch.engine.eta.later_of_two import later_of
from dispatch.engine.eta.plan import kitchen_spread_s
from dispatch.engine.model import Point, Rider, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.service_times import half_s, handover
from node.geodesy import points


@dataclass(frozen=True, slots=True)
class Starter:
    """A rider who could come: from where, free in how long, and how long its ways take against the model's."""

    at: Point
    free_s: float = 0.0
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Riders who could fetch an open order; `ahead` of them are expected to be sent elsewhere first."""

    pickup: Point
    drop: Point
    ready_ms: int
    starters: tuple[Starter, ...] = ()
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class OpenEta:
    """The quote at the door, and the way from counter to door by the travel model."""

    quote: Quote
    travel_s: float


def open_eta(
    order: OpenOrder, now_ms: int, travel: TravelTimes, params: EngineParams, calibration: Calibration
) -> OpenEta:
    """Ready, or the first rider who is not needed elsewhere at the counter; then to the door."""
    places = points([order.pickup, order.drop])
    way_s = float(travel.matrix(places[:1], places[1:], now_ms)[0, 0])
    approach_s = _approach_s(order.starters, order.ahead, order.pickup, now_ms, travel, params)
    cooking_s = max(0.0, (order.ready_ms - now_ms) / 1000)
    half_pickup, half_drop = half_s(StopKind.PICKUP, params.service), half_s(StopKind.DROP, params.service)
    coming_s, coming_spread_s = handover(approach_s, half_pickup), hypot(params.eta.approach_s / 2, params.eta.door_s)
    picked_s, picked_spread_s = coming_s, coming_spread_s
    if cooking_s > 0:
        kitchen_s = kitchen_spread_s(cooking_s, params)
        picked_s, picked_spread_s = later_of(coming_s, coming_spread_s, cooking_s, kitchen_s)
    door_s = handover(picked_s + half_pickup + way_s, half_drop)
    spread_s = hypot(picked_spread_s, params.eta.travel_cv * way_s, params.eta.door_s)
    return OpenEta(calibration.quote(Stage.OPEN, now_ms, door_s, spread_s), way_s)


def _approach_s(
    starters: Sequence[Starter], ahead: int, pickup: Point, now_ms: int, travel: TravelTimes, params: EngineParams
) -> float:
    """Time until the rider comes who is next after `ahead` others; nobody in sight: the usual way."""
    if not starters:
        return params.eta.nobody_s
    ways_s = travel.matrix(points([s.at for s in starters]), points([pickup]), now_ms)[:, 0]
    there_s = np.array([s.free_s for s in starters]) + ways_s * np.array([s.pace for s in starters])
    return float(np.sort(there_s)[min(ahead, len(starters) - 1)])


def starter_of(rider: Rider, at: Point, now_ms: int, pace: float) -> Starter:
    """A rider as it stands there, or as it will be when its plan ends."""
    if not rider.stops:
        return Starter(at, 0.0, pace)
    return Starter(rider.stops[-1].point, max(0.0, (rider.free_ms - now_ms) / 1000), pace)


def ahead_of(waiting: int, online: int, starters: int) -> int:
    """Number of starters that go elsewhere first when `waiting` older orders share all riders evenly."""
    return waiting * starters // max(1, online)
