"""The city of an instance in virtual time: couriers who obey the MDRP's rules minute by minute.

It keeps its own account of who is where; the engine is told what a live one would be told (events, and
positions of couriers who stand still) and nothing that has not happened yet. It runs ticks up to their decisions
(`match_orders`, the first part of the whole tick): nobody here is told an ETA.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from dispatch.engine.computed_tick import Matched
from dispatch.engine.decide import Decisions
from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderOpened,
    PickedUp,
    Positions,
    RiderOffline,
    RiderOnline,
)
from dispatch.engine.model import Offer, OrderId, RestaurantId, Rider, RiderId, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.service_times import handover
from dispatch.engine.state import CityState
from dispatch.engine.tick import run_matching
from dispatch.engine.travel.planar import PlanarTravel, to_point
from simulator.replay.checker import travel_minutes
from simulator.replay.history import Commitment, Drop, History, Leg, Pickup
from simulator.replay.instance import Courier, Instance, InstanceOrder, Xy

MINUTE_MS = 60_000
CAPACITY = 1_000_000
"""The MDRP knows bundles of any size; how many a courier takes is the engine's choice."""


@dataclass(slots=True)
class _RiderMotion:
    """A courier in the flesh. `place` is a name; `arrives` and `bundle` are set on the way to a counter."""

    courier: Courier
    rider_id: RiderId
    place: str
    restaurant: str | None = None
    arrives: int = 0
    bundle: tuple[str, ...] = ()
    busy_until: int = 0
    drops: list[tuple[int, str]] = field(default_factory=list)
    known: bool = False
    gone: bool = False


def replay(instance: Instance, params: EngineParams) -> History:
    """Play the whole day, until no courier has anything left to do."""
    return ReplayWorld(instance, params).run()


class ReplayWorld:
    """The day of one instance. A subclass may split it over several cities: it changes `minute` and `inbox`; or do
    something with the couriers beside what the tick decides: `_happen`, `_positions` and `_decided` are its hooks."""

    def __init__(self, instance: Instance, params: EngineParams) -> None:
        self.instance, self.params = instance, params
        self.rules = instance.rules
        self.travel = PlanarTravel(self.rules.metres_per_minute)
        self.state = CityState()
        self.history = History()
        self.orders: dict[str, InstanceOrder] = {o.name: o for o in instance.orders}
        self.placed: dict[int, list[InstanceOrder]] = defaultdict(list)
        for order in instance.orders:
            self.placed[order.placed].append(order)
        self.places: dict[str, Xy] = dict(instance.restaurants)
        self.places |= {o.name: o.xy for o in instance.orders}
        self.places |= {c.name: c.xy for c in instance.couriers}
        self.bodies = [_RiderMotion(c, RiderId(i + 1), c.name) for i, c in enumerate(instance.couriers)]
        self.body_of = {b.rider_id: b for b in self.bodies}
        self.inbox: list[Input] = []

    def run(self) -> History:
        times = [o.placed for o in self.instance.orders] + [c.on for c in self.instance.couriers]
        minute = min(times, default=0)
        last = max((c.off for c in self.instance.couriers), default=0)
        while minute <= last or any(b.drops for b in self.bodies):
            self.minute(minute)
            minute += 1
        return self.history

    def minute(self, now: int) -> None:
        self._happen(now)
        positions = self._positions()
        result = run_matching(self.state, self.inbox, positions, now * MINUTE_MS, self.travel, self.params, f"{now}")
        self.state.commit(result.decisions.changes)
        self.inbox = []
        self._obey(now, result.decisions)
        self._decided(now, result, positions)

    def _decided(self, now: int, result: Matched, positions: Positions) -> None:
        """The tick of this minute is over, its offers are accepted."""

    def _happen(self, now: int) -> None:
        """Put everything due at this minute into the engine's inbox."""
        at_ms = now * MINUTE_MS
        for order in self.placed[now]:
            self.inbox.append(self._opened(order, at_ms))
        for body in self.bodies:
            if body.gone:
                continue
            if not body.known and body.courier.on <= now:
                body.known = True
                off_ms = body.courier.off * MINUTE_MS
                self.inbox.append(RiderOnline(at_ms, body.rider_id, off_ms, CAPACITY))
            self._pick_up(body, now)
            self._drop(body, now)
            if now > body.courier.off and not body.bundle and not body.drops:
                body.gone = True
                self.inbox.append(RiderOffline(at_ms, body.rider_id))

    def _opened(self, order: InstanceOrder, at_ms: int) -> OrderOpened:
        return OrderOpened(
            at_ms=at_ms,
            order_id=OrderId(order.name),
            restaurant_id=RestaurantId(order.restaurant),
            pickup=to_point(*self.places[order.restaurant]),
            drop=to_point(*order.xy),
            placed_ms=order.placed * MINUTE_MS,
            ready_ms=order.ready * MINUTE_MS,
            promised_ms=(order.placed + self.rules.target_click_to_door) * MINUTE_MS,
        )

    def _pick_up(self, body: _RiderMotion, now: int) -> None:
        """Take the bundle once all of it is ready and half the service is done; plan the drops."""
        half_pickup, half_drop = self.rules.pickup_service // 2, self.rules.dropoff_service // 2
        ready = max((self.orders[o].ready for o in body.bundle), default=0)
        if not body.bundle or now < handover(body.arrives, half_pickup, ready):
            return
        name = body.courier.name
        self.history.pickups.append(Pickup(now, name, body.bundle))
        self.inbox.append(PickedUp(now * MINUTE_MS, body.rider_id, tuple(map(OrderId, body.bundle))))
        leaves, place = now + half_pickup, self._at(body)
        for order in body.bundle:
            self.history.moves.append(Leg(leaves, name, place, order))
            drop = handover(leaves + self._way(place, order), half_drop)
            body.drops.append((drop, order))
            leaves, place = drop + half_drop, order
        body.bundle, body.restaurant = (), None
        body.place, body.busy_until = place, leaves

    def _at(self, body: _RiderMotion) -> str:
        assert body.restaurant is not None
        return body.restaurant

    def _drop(self, body: _RiderMotion, now: int) -> None:
        while body.drops and body.drops[0][0] <= now:
            at, order = body.drops.pop(0)
            self.history.drops.append(Drop(at, body.courier.name, order))
            self.inbox.append(Delivered(at * MINUTE_MS, body.rider_id, OrderId(order)))

    def _way(self, origin: str, destination: str) -> int:
        return travel_minutes(self.places[origin], self.places[destination], self.rules.metres_per_minute)

    def _positions(self) -> Positions:
        """Couriers who stand still; one on the way is where the engine's plan for it says."""
        still = [b for b in self.bodies if b.known and not b.gone and not b.bundle and not b.drops]
        points = [to_point(*self.places[b.place]) for b in still]
        return Positions(
            rider_ids=np.array([b.rider_id for b in still], np.uint64),
            lat_e7=np.array([p.lat_e7 for p in points], np.int64),
            lng_e7=np.array([p.lng_e7 for p in points], np.int64),
            age_ms=np.zeros(len(still), np.int64),
        )

    def _obey(self, now: int, decisions: Decisions) -> None:
        """Couriers accept every offer at once, and take changed bundles as they come."""
        plans = {r.rider_id: r for r in decisions.changes.riders}
        for rider_id in decisions.rerouted:
            self._rebind(now, rider_id, _bundle(plans[rider_id]))
        for offer in decisions.offers:
            self._rebind(now, offer.rider_id, _bundle(offer))
            self.inbox.append(OfferReplied(now * MINUTE_MS, offer.offer_id, offer.rider_id, True))
        for rider_id in sorted({o.rider_id for o in decisions.offers} | set(decisions.rerouted)):
            self._pick_up(self.body_of[rider_id], now)  # The new bundle may be ready to go this minute.

    def _rebind(self, now: int, rider_id: RiderId, bundle: tuple[str, ...]) -> None:
        body = self.body_of[rider_id]
        if body.restaurant is None:
            restaurant = self.orders[bundle[0]].restaurant
            self.history.moves.append(Leg(now, body.courier.name, body.place, restaurant))
            body.restaurant, body.arrives = restaurant, now + self._way(body.place, restaurant)
        body.bundle = bundle
        self.history.commitments.append(Commitment(now, body.courier.name, bundle))


def _bundle(plan: Offer | Rider) -> tuple[str, ...]:
    return tuple(o for s in plan.stops if s.kind is StopKind.DROP for o in s.order_ids)
