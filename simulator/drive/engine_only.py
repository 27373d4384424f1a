"""Drive a simulated city through the engine only, in virtual time: no broker, no clock, as fast as it computes.

Riders, kitchens and customers behave as in a demo; the engine is told what a shard would be told, in the same order,
and nothing of what the city hides (true speeds, weather, real kitchen times, what a rider is like). It runs ticks up to
their decisions (`match_orders`): onlookers who want ETAs compute their own.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from dispatch.engine import inputs as engine_inputs
from dispatch.engine.decide import Decisions
from dispatch.engine.model import Offer, OfferId, OfferStatus, Order, OrderId, Point, RestaurantId, RiderId, Stop
from dispatch.engine.model import Vehicle as RiderVehicle
from dispatch.engine.notes import Note
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.state import CityState
from dispatch.engine.tick import run_matching
from simulator.city import actions as act
from simulator.city import model as sim
from simulator.city.customers import OrderDraft
from simulator.city.rider import Rider as Mind
from simulator.city.scenario import SimulatedCity

#: Ticks are so far apart, domain milliseconds.
TICK_MS: Final = 20_000
_VEHICLES: Final = {"bicycle": RiderVehicle.BICYCLE, "scooter": RiderVehicle.MOTORBIKE, "car": RiderVehicle.CAR}


@dataclass(frozen=True, slots=True)
class Moment:
    """A tick as an onlooker sees it: after the commit. `orders` holds those that ended in this tick, too."""

    now_ms: int
    state: CityState
    notes: tuple[Note, ...]
    decisions: Decisions
    positions: engine_inputs.Positions
    placed: tuple[Order, ...]
    ended: tuple[Order, ...]


class Watcher(Protocol):
    """Onlooker of the ticks that may give better travel times each time."""

    def travel(self, now_ms: int) -> TravelTimes:
        """The travel times that the next tick goes by."""

    def saw(self, moment: Moment) -> None:
        """A tick is over."""


@dataclass(slots=True)
class _Phone:
    """State of an app: what waits while it has no network, and the last plan it was shown."""

    mind: Mind
    waiting: list[act.Action] = field(default_factory=list)
    stops: tuple[Stop, ...] = ()


class EngineOnlyCity:
    """One city from `begin_ms` on. `run` plays until a moment; orders stop a while before if asked."""

    def __init__(
        self, city: SimulatedCity, params: EngineParams, watcher: Watcher, begin_ms: int, promise_ms: int = 2_400_000
    ):
        self.city, self.params, self.watcher = city, params, watcher
        self.now_ms = begin_ms
        self.state = CityState()
        self._promise_ms = promise_ms
        self._phones = {RiderId(m.profile.rider_id): _Phone(m) for m in city.riders}
        self._fixes: dict[RiderId, act.Fix] = {}
        self._inbox: list[engine_inputs.Input] = []
        self._again: list[tuple[int, OrderId, int]] = []
        self._tick = 0

    def run(self, until_ms: int, orders_until_ms: int | None = None) -> None:
        """Plays on; the last order is placed before `orders_until_ms`."""
        while self.now_ms < until_ms:
            self.now_ms += TICK_MS
            self._customers(min(self.now_ms, orders_until_ms or self.now_ms))
            self._kitchens()
            for phone in self._phones.values():
                self._live(phone)
            self._decide()

    def _customers(self, until_ms: int) -> None:
        customers = self.city.customers
        while (due_ms := customers.due_ms()) is not None and due_ms <= until_ms:
            self._place(customers.order())

    def _place(self, draft: OrderDraft) -> None:
        self.city.counter.expect(sim.OrderId(draft.key), draft.ready_ms)
        order_id = OrderId(draft.key)
        self._inbox.append(
            engine_inputs.OrderOpened(
                at_ms=draft.at_ms,
                order_id=order_id,
                restaurant_id=RestaurantId(draft.restaurant.restaurant_id),
                pickup=_point(draft.restaurant.at),
                drop=_point(draft.dropoff),
                placed_ms=draft.at_ms,
                ready_ms=draft.at_ms + draft.preparation_s * 1000,
                promised_ms=draft.at_ms + self._promise_ms,
            )
        )
        if draft.again_ms:
            heapq.heappush(self._again, (draft.again_ms, order_id, draft.again_ready_ms))

    def _kitchens(self) -> None:
        """Kitchens that look again say what they see."""
        while self._again and self._again[0][0] <= self.now_ms:
            at_ms, order_id, ready_ms = heapq.heappop(self._again)
            self._inbox.append(engine_inputs.OrderReadyChanged(at_ms, order_id, ready_ms))

    def _live(self, phone: _Phone) -> None:
        mind = phone.mind
        while (due_ms := mind.due_ms()) <= self.now_ms:
            self._hear(phone, mind.step(max(due_ms, self.now_ms - TICK_MS)))

    def _hear(self, phone: _Phone, actions: Iterable[act.Action]) -> None:
        phone.waiting.extend(actions)
        if phone.mind.has_signal:
            for action in phone.waiting:
                self._say(phone.mind, action)
            phone.waiting.clear()

    def _say(self, mind: Mind, action: act.Action) -> None:
        rider_id = RiderId(mind.profile.rider_id)
        match action:
            case act.Fix():
                self._fixes[rider_id] = action
            case act.Online():
                vehicle = _VEHICLES[mind.profile.vehicle]
                capacity = mind.profile.capacity
                self._inbox.append(
                    engine_inputs.RiderOnline(action.at_ms, rider_id, action.shift_end_ms, capacity, vehicle)
                )
            case act.Offline():
                self._inbox.append(engine_inputs.RiderOffline(action.at_ms, rider_id))
            case act.Answered():
                offer_id = OfferId(action.offer_id)
                self._inbox.append(engine_inputs.OfferReplied(action.at_ms, offer_id, rider_id, action.accepted))
            case act.Arrived():
                self._inbox.append(engine_inputs.RiderArrived(action.at_ms, rider_id))
            case act.PickedUp():
                order_ids = tuple(OrderId(o) for o in action.order_ids)
                self._inbox.append(engine_inputs.PickedUp(action.at_ms, rider_id, order_ids))
            case act.Delivered():
                self._inbox.append(engine_inputs.Delivered(action.at_ms, rider_id, OrderId(action.order_id)))
            case _:
                pass

    def _decide(self) -> None:
        self._tick += 1
        placed_ids = [item.order_id for item in self._inbox if isinstance(item, engine_inputs.OrderOpened)]
        before = self.state.orders
        positions, inbox = self._positions(), sorted(self._inbox, key=lambda item: item.at_ms)
        self._inbox = []
        travel = self.watcher.travel(self.now_ms)
        result = run_matching(
            self.state, inbox, positions, self.now_ms, travel, self.params, f"{self.city.city}-{self._tick}"
        )
        changes = result.decisions.changes
        self.state.commit(changes)
        placed = tuple(before[o] for o in placed_ids if o in before)
        ended = tuple(order for order in changes.orders if order.ended)
        self.watcher.saw(Moment(self.now_ms, self.state, result.notes, result.decisions, positions, placed, ended))
        self._tell(result.decisions)

    def _positions(self) -> engine_inputs.Positions:
        ids = sorted(self._fixes)
        fixes = [self._fixes[i] for i in ids]
        return engine_inputs.Positions(
            rider_ids=np.array(ids, np.uint64),
            lat_e7=np.array([f.place.lat_e7 for f in fixes], np.int64),
            lng_e7=np.array([f.place.lng_e7 for f in fixes], np.int64),
            age_ms=np.array([self.now_ms - f.at_ms for f in fixes], np.int64),
        )

    def _tell(self, decisions: Decisions) -> None:
        """Offers, ends of offers and routes reach the phones that have a network; the others see them later."""
        offers: dict[RiderId, list[Offer]] = defaultdict(list)
        for offer in self.state.offers.values():
            offers[offer.rider_id].append(offer)
        for offer in decisions.changes.offers:
            if offer.status in (OfferStatus.RETRACTED, OfferStatus.EXPIRED):
                phone = self._phones[offer.rider_id]
                self._hear(phone, phone.mind.hear_retracted(sim.OfferId(offer.offer_id), self.now_ms))
        for rider_id, phone in self._phones.items():
            if not phone.mind.has_signal:
                continue
            for offer in offers[rider_id]:
                shown = sim.Offer(sim.OfferId(offer.offer_id), self._stops(offer.stops), offer.expires_ms)
                self._hear(phone, phone.mind.hear_offer(shown, self.now_ms))
            rider = self.state.riders.get(rider_id)
            if rider is not None and rider.stops != phone.stops:
                phone.stops = rider.stops
                self._hear(phone, phone.mind.hear_route(sim.Route(self._tick, self._stops(rider.stops)), self.now_ms))

    def _stops(self, stops: Iterable[Stop]) -> tuple[sim.Stop, ...]:
        return tuple(
            sim.Stop(
                sim.StopKind(stop.kind.value),
                tuple(sim.OrderId(o) for o in stop.order_ids),
                sim.Place(stop.point.lat_e7, stop.point.lng_e7),
                max((self.state.orders[o].ready_ms for o in stop.order_ids if o in self.state.orders), default=0),
            )
            for stop in stops
        )


def _point(place: sim.Place) -> Point:
    return Point(place.lat_e7, place.lng_e7)
