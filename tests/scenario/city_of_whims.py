"""A seeded city under a manual clock, where everything goes wrong now and then.

Riders decline, do not answer, go offline with work in hand; customers cancel; kitchens change their minds; every
message may come twice. The engine's own plan is the truth about where riders are, so nothing here needs a map.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from dispatch.engine.computed_tick import Matched
from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderCancelled,
    OrderOpened,
    OrderReadyChanged,
    PickedUp,
    Positions,
    RiderArrived,
    RiderOffline,
    RiderOnline,
)
from dispatch.engine.model import Offer, OrderId, Point, RestaurantId, RiderId, StopKind, Vehicle
from dispatch.engine.params import BundleParams, CostParams, EngineParams, OfferParams
from dispatch.engine.state import CityState
from dispatch.engine.tick import run_matching
from dispatch.engine.travel.free_flow import FreeFlowTravel

TICK_MS = 20_000
CENTRE = Point(-299_000_000, -712_500_000)
OFFERS = OfferParams(timeout_s=40.0, lead_s=60.0, cooldown_s=120.0)
PARAMS = EngineParams(rebundle=True, offers=OFFERS)
#: Counters up to 2.5 km apart may be fetched from in one go, and riders are dear.
ON_ONE_WAY = EngineParams(
    offers=OFFERS,
    bundles=BundleParams(between_m=2500.0, max_stops=6),
    cost=CostParams(busy=1.5),
)


@dataclass
class CityOfWhims:
    """Run it with `run()`; `digest` collects every decision in order."""

    seed: int
    riders: int = 12
    orders: int = 40
    rush_ms: int = 3_600_000
    params: EngineParams = PARAMS
    state: CityState = field(default_factory=CityState)
    digest: list[str] = field(default_factory=list)
    delivered: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    on_one_way: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.places = {RiderId(i + 1): self._somewhere() for i in range(self.riders)}
        self.counters = [self._somewhere() for _ in range(6)]
        self.inbox: list[Input] = [self._online(r) for r in self.places]
        self.later: list[tuple[int, Input]] = [(o.at_ms, o) for o in self._day()]

    def _somewhere(self) -> Point:
        lat, lng = self.rng.integers(-200_000, 200_000, 2)
        return Point(CENTRE.lat_e7 + int(lat), CENTRE.lng_e7 + int(lng))

    def _online(self, rider: RiderId) -> RiderOnline:
        """Every fourth rides a bicycle, every fifth stays in the north."""
        vehicle = Vehicle.BICYCLE if rider % 4 == 0 else Vehicle.MOTORBIKE
        return RiderOnline(0, rider, 12 * 3_600_000, 4, vehicle, "north" if rider % 5 == 0 else "")

    def _day(self) -> list[OrderOpened]:
        placed = sorted(int(t) for t in self.rng.integers(0, self.rush_ms, self.orders))
        orders = []
        for i, at_ms in enumerate(placed):
            k = int(self.rng.integers(len(self.counters)))
            ready_ms = at_ms + int(self.rng.integers(120_000, 1_200_000))
            orders.append(
                OrderOpened(
                    at_ms,
                    OrderId(f"o{i:03}"),
                    RestaurantId(f"r{k}"),
                    self.counters[k],
                    self._somewhere(),
                    at_ms,
                    ready_ms,
                    at_ms + 2_400_000,
                    size=int(self.rng.integers(1, 3)),
                    zone=str(self.rng.choice(["", "north", "south"])),
                )
            )
        return orders

    def run(self, ticks: int = 1500) -> None:
        """Tick until all orders have ended, `check` after every tick; at most `ticks` times."""
        for n in range(ticks):
            now_ms = n * TICK_MS
            self._due(now_ms)
            result = self.tick(now_ms)
            self.check()
            self._live(result, now_ms)
            if not self.later and not self.state.orders:
                return

    def _due(self, now_ms: int) -> None:
        self.inbox += [item for at_ms, item in self.later if at_ms <= now_ms]
        self.later = [(at_ms, item) for at_ms, item in self.later if at_ms > now_ms]
        if self.rng.random() < 0.3:  # At least once delivery.
            self.inbox += [item for item in self.inbox if self.rng.random() < 0.5]

    def tick(self, now_ms: int) -> Matched:
        """One tick, committed."""
        points = list(self.places.values())
        positions = Positions(
            np.array(list(self.places), np.uint64),
            np.array([p.lat_e7 for p in points], np.int64),
            np.array([p.lng_e7 for p in points], np.int64),
            np.zeros(len(points), np.int64),
        )
        result = run_matching(self.state, self.inbox, positions, now_ms, FreeFlowTravel(), self.params, f"t{now_ms}")
        self.inbox = []
        self.state.commit(result.decisions.changes)
        for offer in result.decisions.offers:
            self.check_offer(offer)
        self.digest.append(repr((result.notes, result.decisions.offers, result.decisions.released)))
        self.delivered |= {n.order_id for n in result.notes if n.kind == "delivered" and n.order_id}
        self.cancelled |= {n.order_id for n in result.notes if n.kind == "cancelled" and n.order_id}
        return result

    def _live(self, result: Matched, now_ms: int) -> None:
        for offer in result.decisions.offers:
            self._answer(offer, now_ms)
        for rider in list(self.state.riders.values()):
            if rider.stops:
                stop = rider.stops[0]
                if stop.arrive_ms <= now_ms and stop.kind is StopKind.PICKUP and not rider.arrived:
                    self.inbox.append(RiderArrived(now_ms, rider.rider_id))
                if stop.done_ms <= now_ms:
                    self.places[rider.rider_id] = stop.point
                    picked = stop.kind is StopKind.PICKUP
                    self.inbox.append(
                        PickedUp(now_ms, rider.rider_id, stop.order_ids)
                        if picked
                        else Delivered(now_ms, rider.rider_id, stop.order_ids[0])
                    )
            if self.rng.random() < 0.004:
                self.inbox.append(RiderOffline(now_ms, rider.rider_id))
                self.later.append((now_ms + 300_000, replace(self._online(rider.rider_id), at_ms=now_ms + 300_000)))
        for order in list(self.state.orders.values()):
            whim = self.rng.random()
            if whim < 0.001:
                self.inbox.append(OrderCancelled(now_ms, order.order_id))
            elif whim < 0.006:
                self.inbox.append(OrderReadyChanged(now_ms, order.order_id, order.ready_ms + 120_000))

    def _answer(self, offer: Offer, now_ms: int) -> None:
        """Seven of ten accept, two decline, one says nothing; answers take up to a minute, some too long."""
        whim = self.rng.random()
        if whim < 0.9:
            at_ms = now_ms + int(self.rng.integers(0, 60_000))
            self.later.append((at_ms, OfferReplied(at_ms, offer.offer_id, offer.rider_id, whim < 0.7)))

    def check_offer(self, offer: Offer) -> None:
        """Check that a proposal breaks no rule of its rider: shift, room, zone, stops; and fetches nothing unready."""
        rider = self.state.riders[offer.rider_id]
        plan = offer.stops if offer.joins else (*rider.stops, *offer.stops)
        assert len(plan) <= self.params.bundles.max_stops, offer
        pickups = [s for s in offer.stops if s.kind is StopKind.PICKUP]
        self.on_one_way += len(pickups) > 1
        for stop in pickups:
            assert stop.done_ms <= rider.shift_end_ms, offer
            assert all(stop.done_ms >= self.state.orders[o].ready_ms for o in stop.order_ids), offer
            assert all(self.state.orders[o].restaurant_id == stop.restaurant_id for o in stop.order_ids), offer
        orders = [self.state.orders[o] for s in offer.stops if s.kind is StopKind.DROP for o in s.order_ids]
        assert sum(o.size for o in orders) <= rider.capacity, offer
        assert not rider.zone or all(o.zone in ("", rider.zone) for o in orders), offer

    def check(self) -> None:
        """Check what must hold after every commit, whatever happens."""
        promised: dict[OrderId, str] = {}
        for rider in self.state.riders.values():
            sizes = [self.state.orders[o].size for o in rider.order_ids]
            assert rider.load == sum(sizes) <= rider.capacity, rider
            assert len(set(rider.order_ids)) == len(rider.order_ids), rider
            for order_id in rider.order_ids:
                order = self.state.orders[order_id]
                assert order_id not in promised, (order_id, promised)
                promised[order_id] = f"plan of {rider.rider_id}"
                assert order.rider_id == rider.rider_id, (order, rider)
                assert order.status in ("assigned", "picked_up"), order
            assert rider.offer_id is None or rider.offer_id in self.state.offers, rider
        for offer in self.state.offers.values():
            assert self.state.riders[offer.rider_id].offer_id == offer.offer_id
            for order_id in offer.order_ids:
                assert order_id not in promised, (order_id, promised)
                promised[order_id] = offer.offer_id
                assert self.state.orders[order_id].status == "offered"
        for order in self.state.orders.values():
            assert (order.order_id in promised) == (order.status != "open"), order
            assert (order.rider_id is None) == (order.status == "open"), order
