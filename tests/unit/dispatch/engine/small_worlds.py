"""Named small worlds for the engine: a plane with 300 metres a minute, times in minutes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dispatch.engine.computed_tick import Matched
from dispatch.engine.inputs import Input, OfferReplied, OrderOpened, Positions, RiderOnline
from dispatch.engine.model import Offer, Order, OrderId, OrderStatus, RestaurantId, Rider, RiderId
from dispatch.engine.params import EngineParams, OfferParams
from dispatch.engine.state import CityState
from dispatch.engine.tick import run_matching
from dispatch.engine.travel.planar import PlanarTravel, to_point

MINUTE_MS = 60_000
METRES_PER_MINUTE = 300


def order(
    name: str,
    at: tuple[int, int] = (0, 0),
    to: tuple[int, int] = (900, 0),
    placed: int = 0,
    ready: int = 10,
    size: int = 1,
) -> OrderOpened:
    """An order of the restaurant at `at` (metres), promised 40 minutes after it is placed."""
    return OrderOpened(
        at_ms=placed * MINUTE_MS,
        order_id=OrderId(name),
        restaurant_id=RestaurantId(f"r{at[0]},{at[1]}"),
        pickup=to_point(*at),
        drop=to_point(*to),
        placed_ms=placed * MINUTE_MS,
        ready_ms=ready * MINUTE_MS,
        promised_ms=(placed + 40) * MINUTE_MS,
        size=size,
    )


@dataclass
class SmallWorld:
    """A city whose riders stand where they were put and say what the test tells them to."""

    params: EngineParams = field(default_factory=lambda: EngineParams(offers=OfferParams(lead_s=0.0)))
    state: CityState = field(default_factory=CityState)
    places: dict[RiderId, tuple[int, int]] = field(default_factory=dict)
    age_ms: int = 0

    def rider(self, number: int, at: tuple[int, int] = (0, 0), off: int = 600, capacity: int = 4) -> RiderOnline:
        """Put a rider on the map; returns the input that brings it online."""
        self.places[RiderId(number)] = at
        return RiderOnline(0, RiderId(number), off * MINUTE_MS, capacity)

    def tick(self, minute: int, *inputs: Input) -> Matched:
        """One committed tick."""
        result = self.peek(minute, *inputs)
        self.state.commit(result.decisions.changes)
        return result

    def peek(self, minute: int, *inputs: Input) -> Matched:
        """One tick that is not committed."""
        return run_matching(
            self.state,
            inputs,
            self.positions(),
            minute * MINUTE_MS,
            PlanarTravel(METRES_PER_MINUTE),
            self.params,
            f"t{minute}",
        )

    def positions(self) -> Positions:
        """Positions of the riders."""
        points = [to_point(*xy) for xy in self.places.values()]
        return Positions(
            np.array(list(self.places), np.uint64),
            np.array([p.lat_e7 for p in points], np.int64),
            np.array([p.lng_e7 for p in points], np.int64),
            np.full(len(points), self.age_ms, np.int64),
        )

    def order(self, name: str) -> Order:
        """The order as it is now; it must not have ended."""
        return self.state.orders[OrderId(name)]

    def status(self, name: str) -> OrderStatus:
        """Status of an order that has not ended."""
        return self.order(name).status

    def rider_now(self, number: int) -> Rider:
        """The rider as it is now."""
        return self.state.riders[RiderId(number)]


def reply(offer: Offer, minute: int, accepted: bool = True) -> OfferReplied:
    """The rider's answer to an offer."""
    return OfferReplied(minute * MINUTE_MS, offer.offer_id, offer.rider_id, accepted)


def one_rider_one_order() -> tuple[SmallWorld, Offer]:
    """A rider at the counter was just offered the only order, ready now."""
    world = SmallWorld()
    result = world.tick(10, world.rider(1), order("a", ready=10))
    (offer,) = result.decisions.offers
    return world, offer
