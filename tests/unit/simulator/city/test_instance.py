"""An MDRPLib instance as a city that lives."""

from __future__ import annotations

from simulator.city.actions import Arrived, Delivered, Offline, Online, PickedUp
from simulator.city.instance import PlanarWays, build_instance, span_from
from simulator.city.model import Place, Route, Stop, StopKind
from simulator.replay.instance import Courier, Instance, InstanceOrder, Rules
from tests.unit.simulator.city.worlds import lived

MINUTE_MS = 60_000
#: One restaurant 640 m east of the only courier (2 minutes at 320 m a minute), one customer 100 m further.
TINY = Instance(
    name="tiny",
    orders=(InstanceOrder("o1", (740, 0), 10, "r1", 15), InstanceOrder("o2", (740, 0), 12, "r1", 20)),
    couriers=(Courier("c1", (0, 0), 10, 60),),
    restaurants={"r1": (640, 0)},
    rules=Rules(320, 4, 4, 40, 90, 10, 15),
)
SPAN = span_from(TINY, first_ms=10 * MINUTE_MS)


def test_ways_take_whole_minutes() -> None:
    """640 m at 320 m a minute are two minutes, 641 m are three, and no way takes none."""
    ways = PlanarWays(320)
    start = Place(0, 0)
    assert ways.trip(start, Place(0, 640 * 90)).duration_s == 120
    assert ways.trip(start, Place(0, 641 * 90)).duration_s == 180
    assert ways.trip(start, start).duration_s == 0


def test_the_first_order_comes_when_it_is_wanted() -> None:
    """Minute 0 is moved so that the first order is placed at the given time."""
    span = span_from(TINY, first_ms=1_000_000_000)
    assert span.zero_ms == 1_000_000_000 - 10 * MINUTE_MS
    assert span.last_ms == span.zero_ms + 60 * MINUTE_MS


def test_orders_come_at_their_minutes_with_their_preparation() -> None:
    """Placement and preparation are the instance's; the same seed gives the same idempotency keys."""
    orders = build_instance(TINY, SPAN, 30, 1, 0).customers
    again = build_instance(TINY, SPAN, 30, 1, 0).customers
    first, second = orders.order(), orders.order()
    assert (first.at_ms, first.preparation_s) == (10 * MINUTE_MS, 300)
    assert (second.at_ms, second.preparation_s) == (12 * MINUTE_MS, 480)
    assert orders.due_ms() is None
    assert first.key == again.order().key


def test_a_courier_obeys_the_rules() -> None:
    """Two minutes of way, pickup half a service after arrival and not before ready, the rest as the rules say."""
    city = build_instance(TINY, SPAN, 30, 1, 0)
    courier, order = city.riders[0], city.customers.order()
    city.counter.expect(order_id := "o1", order.ready_ms)  # type: ignore[arg-type]
    courier.step(10 * MINUTE_MS)
    pickup = Stop(StopKind.PICKUP, (order_id,), order.restaurant.at)  # type: ignore[arg-type]
    drop = Stop(StopKind.DROP, (order_id,), order.dropoff)  # type: ignore[arg-type]
    courier.hear_route(Route(1, (pickup, drop)), 10 * MINUTE_MS)
    minutes = [(type(action), action.at_ms / MINUTE_MS) for action in lived(courier, 70 * MINUTE_MS)]  # type: ignore[union-attr]
    assert minutes == [(Arrived, 12), (PickedUp, 15), (Delivered, 20), (Offline, 60)]


def test_a_shift_begins_at_the_courier_s_place() -> None:
    """On time, at home."""
    city = build_instance(TINY, SPAN, 30, 1, 0)
    assert lived(city.riders[0], 11 * MINUTE_MS) == [Online(10 * MINUTE_MS, Place(0, 0), 60 * MINUTE_MS)]
