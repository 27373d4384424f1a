"""The simulated city under the engine, without a network: second by second, on a clock that is told to go on."""

from __future__ import annotations

from collections.abc import Iterable
from zoneinfo import ZoneInfo

import numpy as np

from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderOpened,
    PickedUp,
    Positions,
    RiderArrived,
    RiderOffline,
    RiderOnline,
)
from dispatch.engine.model import Offer as EngineOffer
from dispatch.engine.model import OfferId, OrderId, Point, RestaurantId
from dispatch.engine.model import RiderId as EngineRiderId
from dispatch.engine.model import Stop as EngineStop
from dispatch.engine.model import StopKind as EngineStopKind
from dispatch.engine.params import EngineParams, OfferParams
from dispatch.engine.state import CityState
from dispatch.engine.tick import run_matching
from dispatch.engine.travel.free_flow import FreeFlowTravel
from node.geodesy import M_PER_E7
from simulator.city import actions as act
from simulator.city import model as city
from simulator.city.motion import Trip, straight
from simulator.city.params import CustomerParams, RiderParams
from simulator.city.rider import Rider
from simulator.city.scenario import CityParams, CitySite, SimulatedCity, build

SPEED_MPS = 7.0
TICK_S = 5
PARAMS = EngineParams(offers=OfferParams(timeout_s=30, lead_s=20))


class Crow:
    """Straight ways at the engine's free-flow speed, detour and all."""

    def trip(self, start: city.Place, end: city.Place) -> Trip:
        return straight((start, end), SPEED_MPS / 1.3)


def small_town(seed: int, now_ms: int, *, riders: int = 12, rider: RiderParams | None = None) -> SimulatedCity:
    """A square of 21 by 21 places, 150 m apart, six restaurants, sixty orders an hour."""
    step_e7 = round(150 / M_PER_E7)
    places = [city.Place(k % 21 * step_e7, k // 21 * step_e7) for k in range(441)]
    ground = CitySite("small-town", ZoneInfo("America/Santiago"), places[220], places, Crow())
    params = CityParams(
        riders=riders,
        restaurants=6,
        rider=rider or RiderParams(fix_every_s=10),
        customer=CustomerParams(orders_per_hour=60),
    )
    return build(ground, params, seed, now_ms)


class Life:
    """A city and an engine that know each other only by what the public APIs would carry."""

    def __init__(self, town: SimulatedCity, now_ms: int) -> None:
        self.town = town
        self.now_ms = now_ms
        self.state = CityState()
        self.riders: dict[int, Rider] = {rider.profile.rider_id: rider for rider in town.riders}
        self.placed: dict[str, int] = {}
        self.picked_up: list[tuple[str, int]] = []
        self.delivered: list[tuple[str, int, int]] = []
        self.offers = 0
        self._fixes: dict[int, act.Fix] = {}
        self._inbox: list[Input] = []
        self._routes: dict[int, tuple[EngineStop, ...]] = {}
        self._ticks = 0

    def run(self, seconds: int, *, ordering: bool = True) -> None:
        """Play so many seconds of the city."""
        for _ in range(seconds):
            self.now_ms += 1000
            if ordering:
                self._order()
            for rider in self.town.riders:
                self._take(rider, rider.step(self.now_ms))
            if self.now_ms // 1000 % TICK_S == 0:
                self._tick()

    def _order(self) -> None:
        while (due_ms := self.town.customers.due_ms()) is not None and due_ms <= self.now_ms:
            draft = self.town.customers.order()
            name = f"o{len(self.placed) + 1}"
            self.placed[name] = draft.at_ms
            self.town.counter.expect(city.OrderId(name), draft.ready_ms)
            ready_ms = draft.at_ms + draft.preparation_s * 1000
            self._inbox.append(
                OrderOpened(
                    draft.at_ms,
                    OrderId(name),
                    RestaurantId(draft.restaurant.restaurant_id),
                    _point(draft.restaurant.at),
                    _point(draft.dropoff),
                    draft.at_ms,
                    ready_ms,
                    ready_ms + 1_200_000,
                )
            )

    def _take(self, rider: Rider, actions: Iterable[act.Action]) -> None:
        rider_id = EngineRiderId(rider.profile.rider_id)
        for action in actions:
            match action:
                case act.Fix():
                    self._fixes[rider_id] = action
                case act.Online():
                    capacity = rider.profile.capacity
                    self._inbox.append(RiderOnline(action.at_ms, rider_id, action.shift_end_ms, capacity))
                case act.Offline():
                    self._inbox.append(RiderOffline(action.at_ms, rider_id))
                case act.Answered():
                    self._inbox.append(OfferReplied(action.at_ms, OfferId(action.offer_id), rider_id, action.accepted))
                case act.Arrived():
                    self._inbox.append(RiderArrived(action.at_ms, rider_id))
                case act.PickedUp():
                    taken = tuple(OrderId(order_id) for order_id in action.order_ids)
                    self._inbox.append(PickedUp(action.at_ms, rider_id, taken))
                    self.picked_up += [(order_id, rider_id) for order_id in taken]
                case act.Delivered():
                    self._inbox.append(Delivered(action.at_ms, rider_id, OrderId(action.order_id)))
                    self.delivered.append((action.order_id, rider_id, action.at_ms))

    def _tick(self) -> None:
        self._ticks += 1
        inputs, self._inbox = self._inbox, []
        result = run_matching(
            self.state, inputs, self._positions(), self.now_ms, FreeFlowTravel(SPEED_MPS), PARAMS, f"t{self._ticks}"
        )
        self.state.commit(result.decisions.changes)
        for offer in result.decisions.offers:
            self.offers += 1
            rider = self.riders[offer.rider_id]
            self._take(rider, rider.hear_offer(_offer(offer), self.now_ms))
        for rider_id, known in self.state.riders.items():
            if self._routes.get(rider_id, ()) != known.stops:
                self._routes[rider_id] = known.stops
                route = city.Route(self._ticks, tuple(_stop(stop) for stop in known.stops))
                self._take(self.riders[rider_id], self.riders[rider_id].hear_route(route, self.now_ms))

    def _positions(self) -> Positions:
        ids = sorted(self._fixes)
        places = np.array([(self._fixes[i].place.lat_e7, self._fixes[i].place.lng_e7) for i in ids], np.int64)
        places = places.reshape(-1, 2)
        ages_ms = np.array([self.now_ms - self._fixes[i].at_ms for i in ids], np.int64)
        return Positions(np.array(ids, np.uint64), places[:, 0], places[:, 1], ages_ms)


def _point(place: city.Place) -> Point:
    return Point(place.lat_e7, place.lng_e7)


def _offer(offer: EngineOffer) -> city.Offer:
    return city.Offer(city.OfferId(offer.offer_id), tuple(_stop(stop) for stop in offer.stops), offer.expires_ms)


def _stop(stop: EngineStop) -> city.Stop:
    kind = city.StopKind.PICKUP if stop.kind is EngineStopKind.PICKUP else city.StopKind.DROP
    place = city.Place(stop.point.lat_e7, stop.point.lng_e7)
    return city.Stop(kind, tuple(city.OrderId(order_id) for order_id in stop.order_ids), place, stop.done_ms)
