"""An MDRPLib instance as a city that lives: couriers with their shifts on a plane, orders at their placement times.

Couriers always say yes, never lose their signal, and travel and serve by the rules of the instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from uuid import UUID

from dispatch.engine.travel.planar import PlanarTravel, to_point
from node.geodesy import points
from simulator.city.customers import OrderDraft
from simulator.city.kitchen import Pass
from simulator.city.menu import Item
from simulator.city.model import Place, Restaurant, RestaurantId, RiderId
from simulator.city.motion import Trip
from simulator.city.params import RiderParams
from simulator.city.rider import Profile, Rider, RiderSurroundings
from simulator.city.scenario import SimulatedCity
from simulator.city.shifts import FixedShifts, Shift
from simulator.replay.instance import Instance, Xy

CITY = "instance"
_MINUTE_MS = 60_000
#: The MDRP knows bundles of any size, riders say at most twenty; how many are taken is the engine's choice.
_CAPACITY = 20
_ITEM = Item("meal", "Meal", 1, 1000)


class PlanarWays:
    """Straight over the plane; the time is the instance's: ceil(distance / metres a minute) minutes."""

    def __init__(self, metres_per_minute: int) -> None:
        self._travel = PlanarTravel(metres_per_minute)

    def trip(self, start: Place, end: Place) -> Trip:
        ends = points([start, end])
        seconds = float(self._travel.pairs(ends[:1], ends[1:], 0)[0])
        return Trip((start, end), (0.0, seconds)) if seconds else Trip((end,), (0.0,))


@dataclass(slots=True)
class InstanceOrders:
    """The orders of an instance, each at its time."""

    drafts: tuple[OrderDraft, ...]
    placed: int = 0

    def due_ms(self) -> int | None:
        return self.drafts[self.placed].at_ms if self.placed < len(self.drafts) else None

    def order(self) -> OrderDraft:
        self.placed += 1
        return self.drafts[self.placed - 1]


@dataclass(frozen=True, slots=True)
class Span:
    """Times of an instance: domain time of its minute 0, of its first order and of its last courier's end."""

    zero_ms: int
    first_ms: int
    last_ms: int


def span_from(instance: Instance, first_ms: int) -> Span:
    """The instance moved so that its first order is placed at `first_ms`."""
    zero_ms = first_ms - min(order.placed for order in instance.orders) * _MINUTE_MS
    last = max([*(order.placed for order in instance.orders), *(courier.off for courier in instance.couriers)])
    return Span(zero_ms, first_ms, zero_ms + last * _MINUTE_MS)


def build_instance(instance: Instance, span: Span, fix_every_s: float, seed: int, now_ms: int) -> SimulatedCity:
    """The city of an instance."""
    rules = instance.rules
    params = RiderParams(
        fix_every_s=fix_every_s,
        answer_s=(0, 0),
        decline=0,
        pickup_s=rules.pickup_service * 60,
        dropoff_s=rules.dropoff_service * 60,
        rest_s=(3600, 3600),
        drift=0,
        losses_per_hour=0,
        accuracy_m=(0, 0),
        confirm_s=600,
    )
    counter = Pass()
    world = RiderSurroundings(PlanarWays(rules.metres_per_minute), counter.ready_ms, lambda near, rng: near)
    restaurants = {
        name: Restaurant(RestaurantId(name), f"Restaurant {name}", _place(xy))
        for name, xy in instance.restaurants.items()
    }
    riders = tuple(
        Rider(
            Profile(
                RiderId(number),
                _place(courier.xy),
                FixedShifts((Shift(span.zero_ms + courier.on * _MINUTE_MS, span.zero_ms + courier.off * _MINUTE_MS),)),
                capacity=_CAPACITY,
            ),
            world,
            params,
            Random(f"{seed}/{number}"),
            now_ms,
        )
        for number, courier in enumerate(instance.couriers, start=1)
    )
    return SimulatedCity(CITY, tuple(restaurants.values()), riders, _orders(instance, restaurants, span, seed), counter)


def _orders(instance: Instance, restaurants: dict[str, Restaurant], span: Span, seed: int) -> InstanceOrders:
    rng = Random(f"{seed}/{instance.name}")
    drafts = (
        OrderDraft(
            at_ms=span.zero_ms + order.placed * _MINUTE_MS,
            key=f"{order.name}-{UUID(int=rng.getrandbits(128), version=4)}",
            user_id=f"user-{order.name}",
            restaurant=restaurants[order.restaurant],
            preparation_s=(order.ready - order.placed) * 60,
            dropoff=_place(order.xy),
            items=(_ITEM,),
            tip_minor=0,
            payment_token="tok_ok",
            ready_ms=span.zero_ms + order.ready * _MINUTE_MS,
        )
        for order in instance.orders
    )
    return InstanceOrders(tuple(sorted(drafts, key=lambda draft: draft.at_ms)))


def _place(xy: Xy) -> Place:
    point = to_point(*xy)
    return Place(point.lat_e7, point.lng_e7)
