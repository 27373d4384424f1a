"""Quote ETAs by several travel models on the same days, and compare each with the delivery.

The `learned` model is what a shard does: it learns from pings and deliveries as they come, and the engine decides by
its travel times. The others watch: free flow and the road network, with the same calibration of their own quotes. They
know a rider's vehicle and not the rider's own pace, which the `learned` model has learned; so its ways are told without
that pace, too (`SPEEDS_ALONE`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.eta.simulated_days import Day
from dispatch.engine.eta.calibration import Calibration, Quote, Stage
from dispatch.engine.eta.estimate import STARTERS, EtaQuestion, estimate
from dispatch.engine.eta.learning import CityLearning
from dispatch.engine.eta.open_order import OpenOrder, ahead_of, starter_of
from dispatch.engine.eta.plan import LearnedTimes
from dispatch.engine.model import Order, OrderId, OrderStatus, Point, Rider, RiderId, StopKind, Vehicle
from dispatch.engine.notes import NoteKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.service_times import half_ms, half_s
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import LearnedTravel
from node.geodesy import distances_m, points
from simulator.drive.engine_only import Moment

#: A new travel model is made so often, domain milliseconds.
MODEL_EVERY_MS: Final = 600_000
_FRESH_MS: Final = 60_000
#: The ways of the learned model with everybody as fast as their vehicle.
SPEEDS_ALONE: Final = "learned speeds alone"


@dataclass(frozen=True, slots=True)
class ScoredQuote:
    """A quote against the truth; whether it rained at the delivery, whether its rider was a slow one."""

    model: str
    day: str
    quote: Quote
    delivered_ms: int
    rain: bool
    slow_rider: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """A way with food on board, to a door: what each model said when it began, and what it took."""

    day: str
    said_s: dict[str, float]
    took_s: float


@dataclass(slots=True)
class QuotingModel:
    """One travel model and the calibration of its quotes."""

    name: str
    travel: TravelTimes
    learning: CityLearning = field(default_factory=CityLearning)
    knows_riders: bool = False
    calibrated: bool = True
    quotes: dict[OrderId, dict[Stage, Quote]] = field(default_factory=dict)

    def known(self, riders: Iterable[Rider]) -> LearnedTimes:
        """Learned times that its quotes are computed with."""
        calibration = self.learning.calibration if self.calibrated else Calibration()
        return self.learning.known(riders) if self.knows_riders else LearnedTimes(calibration)

    def way_s(self, rider: Rider, start: Point, end: Point, at_ms: int, params: EngineParams) -> float:
        """A way of this rider."""
        return self._way_s(start, end, at_ms) * self.known([rider]).pace_of(rider, params)

    def anyones_way_s(self, vehicle: Vehicle, start: Point, end: Point, at_ms: int, params: EngineParams) -> float:
        """A way of somebody with this vehicle."""
        return self._way_s(start, end, at_ms) * params.pace.of(vehicle)

    def _way_s(self, start: Point, end: Point, at_ms: int) -> float:
        places = points([start, end])
        return float(self.travel.matrix(places[:1], places[1:], at_ms)[0, 0])


@dataclass(slots=True)
class QuotingModels:
    """Watches a day (`simulator.drive.engine_only.Watcher`): `models[0]` learns; the engine uses its travel times."""

    models: list[QuotingModel]
    params: EngineParams
    day: Day | None = None
    judged: list[ScoredQuote] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    _next_model_ms: int = 0
    _left: dict[RiderId, tuple[Point, int, dict[str, float]]] = field(default_factory=dict)

    def travel(self, now_ms: int) -> TravelTimes:
        learned = self.models[0]
        if now_ms >= self._next_model_ms:
            self._next_model_ms = now_ms + MODEL_EVERY_MS
            learned.travel = learned.learning.travel_learner.model()
        return learned.travel

    def saw(self, moment: Moment) -> None:
        learning = self.models[0].learning
        state, now_ms = moment.state, moment.now_ms
        orders = {**state.orders, **{order.order_id: order for order in moment.ended}}
        if learning.is_due(now_ms):
            learning.learn_from_positions(moment.positions, state.riders, now_ms, self.params)
        self._finish_legs(moment, orders)
        learning.learn_from_notes(moment.notes, orders, state.riders, self.params)
        for model in self.models:
            self._quote(model, moment)
        for order in moment.ended:
            self._judge(order)
        self._begin_legs(moment)

    def _quote(self, model: QuotingModel, moment: Moment) -> None:
        """New orders, and those that a rider accepted or picked up."""
        kinds = {NoteKind.ASSIGNED, NoteKind.PICKED_UP}
        news = [
            n for n in moment.notes if n.kind in kinds and n.order_id in moment.state.orders and n.rider_id is not None
        ]
        riders = {n.rider_id: moment.state.riders[n.rider_id] for n in news if n.rider_id is not None}
        if not riders and not moment.placed:
            return
        seen = _seen(moment)
        online = {r: p for r, p in seen.items() if moment.state.riders[r].online}
        known = model.known([*riders.values(), *(moment.state.riders[r] for r in online)])
        opened = tuple((o.order_id, _open(o, moment, online, known, self.params)) for o in moment.placed)
        places = tuple(seen.get(r) for r in riders)
        asked = EtaQuestion(tuple(riders.values()), places, moment.state.orders, moment.now_ms, opened, known)
        etas = estimate(asked, model.travel, self.params)
        for order_id in [*(order.order_id for order in moment.placed), *(n.order_id for n in news)]:
            eta = etas.get(order_id) if order_id is not None else None
            if eta is not None and eta.quote is not None and order_id is not None:
                model.quotes.setdefault(order_id, {})[eta.quote.stage] = eta.quote

    def _judge(self, order: Order) -> None:
        assert self.day is not None
        for model in self.models:
            quotes = model.quotes.pop(order.order_id, {})
            if order.status is not OrderStatus.DELIVERED or order.ended_ms is None:
                continue
            model.learning.learn_from_delivery(quotes.values(), order.ended_ms)
            rain, slow = self.day.weather.rains(order.ended_ms), order.rider_id in self.day.slow_riders
            for quote in quotes.values():
                self.judged.append(ScoredQuote(model.name, self.day.name, quote, order.ended_ms, rain, slow))

    def _begin_legs(self, moment: Moment) -> None:
        """Begin legs with food on board, each with the time that each model gives it."""
        for note in moment.notes:
            if note.rider_id is None or note.kind not in (NoteKind.PICKED_UP, NoteKind.DELIVERED):
                continue
            rider = moment.state.riders[note.rider_id]
            if not rider.carrying or note.order_id is None:
                self._left.pop(note.rider_id, None)
                continue
            picked = note.kind is NoteKind.PICKED_UP
            place = moment.state.orders[note.order_id].pickup if picked else _drop(note.order_id, moment)
            left_ms = note.at_ms + half_ms(StopKind.PICKUP if picked else StopKind.DROP, self.params.service)
            door = rider.stops[0].point
            said = {model.name: model.way_s(rider, place, door, left_ms, self.params) for model in self.models}
            said[SPEEDS_ALONE] = self.models[0].anyones_way_s(rider.vehicle, place, door, left_ms, self.params)
            self._left[note.rider_id] = door, left_ms, said

    def _finish_legs(self, moment: Moment, orders: dict[OrderId, Order]) -> None:
        assert self.day is not None
        for note in moment.notes:
            if note.kind is not NoteKind.DELIVERED or note.rider_id is None or note.order_id is None:
                continue
            left = self._left.pop(note.rider_id, None)
            if left is not None and left[0] == orders[note.order_id].drop:
                took_s = (note.at_ms - left[1]) / 1000 - half_s(StopKind.DROP, self.params.service)
                self.legs.append(Leg(self.day.name, left[2], took_s))


def _drop(order_id: OrderId, moment: Moment) -> Point:
    return next(order.drop for order in moment.ended if order.order_id == order_id)


def _seen(moment: Moment) -> dict[RiderId, Point]:
    """Riders with a fresh fix."""
    p = moment.positions
    rows = zip(p.rider_ids.tolist(), p.lat_e7.tolist(), p.lng_e7.tolist(), p.age_ms.tolist(), strict=True)
    known = moment.state.riders
    return {RiderId(r): Point(lat, lng) for r, lat, lng, age_ms in rows if age_ms <= _FRESH_MS and RiderId(r) in known}


def _open(
    order: Order, moment: Moment, online: dict[RiderId, Point], known: LearnedTimes, params: EngineParams
) -> OpenOrder:
    """An order with the nearest riders on shift."""
    ids = list(online)
    apart = distances_m(points(online.values()), points([order.pickup]))
    near = [ids[i] for i in np.argsort(apart, kind="stable")[:STARTERS]]
    riders = moment.state.riders
    starters = tuple(starter_of(riders[r], online[r], moment.now_ms, known.pace_of(riders[r], params)) for r in near)
    waiting = sum(o.matchable for o in moment.state.orders.values()) - 1
    return OpenOrder(order.pickup, order.drop, order.ready_ms, starters, ahead_of(waiting, len(online), len(starters)))


def new_models(road: TravelTimes) -> list[QuotingModel]:
    """The learned model, and its peers."""
    return [
        QuotingModel("learned", LearnedTravel.ignorant(), knows_riders=True),
        QuotingModel("free flow", FreeFlowTravel()),
        QuotingModel("road", road),
        QuotingModel("uncalibrated", FreeFlowTravel(), calibrated=False),
    ]
