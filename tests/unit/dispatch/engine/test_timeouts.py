"""Timeouts: riders who vanish, and orders that nobody brings."""

from __future__ import annotations

from dispatch.engine.inputs import OfferReplied, PickedUp
from dispatch.engine.model import OrderId, OrderStatus, RiderId
from dispatch.engine.notes import NoteKind
from dispatch.engine.params import EngineParams, OfferParams, PatienceParams
from tests.unit.dispatch.engine.small_worlds import SmallWorld, order

PARAMS = EngineParams(offers=OfferParams(lead_s=900.0), patience=PatienceParams(300, 3600, 5400))


def with_accepted_order() -> SmallWorld:
    """Rider 1 has accepted order a, for a counter ten minutes off; rider 2 is far."""
    world = SmallWorld(params=PARAMS)
    result = world.tick(0, world.rider(1, at=(3000, 0)), world.rider(2, at=(9000, 0)), order("a", ready=0))
    (offer,) = result.decisions.offers
    assert offer.rider_id == 1
    world.tick(1, OfferReplied(60_000, offer.offer_id, offer.rider_id, accepted=True))
    assert world.status("a") is OrderStatus.ASSIGNED
    return world


def test_what_a_vanished_rider_has_not_fetched_goes_to_another() -> None:
    """Four minutes out of sight are borne; with the fifth the order is open again and the other rider is asked."""
    world = with_accepted_order()
    place = world.places.pop(RiderId(1))
    world.tick(2)
    assert world.state.riders[RiderId(1)].unseen_ms == 120_000
    world.tick(6)
    assert world.status("a") is OrderStatus.ASSIGNED
    result = world.tick(7)
    assert [(n.kind, n.order_id, n.rider_id) for n in result.notes] == [(NoteKind.UNASSIGNED, "a", 1)]
    assert [o.rider_id for o in result.decisions.offers] == [2]
    world.places[RiderId(1)] = place
    world.tick(8)
    seen = world.state.riders[RiderId(1)]
    assert (seen.unseen_ms, seen.online, seen.stops, seen.load) == (None, True, (), 0)


def test_a_rider_seen_in_time_keeps_its_order() -> None:
    """Each sight begins the count anew."""
    world = with_accepted_order()
    place = world.places.pop(RiderId(1))
    for minute in range(2, 40, 4):
        world.places.pop(RiderId(1), None)
        world.tick(minute)
        world.places[RiderId(1)] = place
        world.tick(minute + 2)
    assert (world.status("a"), world.order("a").rider_id) == (OrderStatus.ASSIGNED, 1)


def test_food_on_board_of_a_lost_rider_is_written_off_once() -> None:
    """An hour out of sight with the food: the order has failed, the rider is free for when it comes back."""
    world = with_accepted_order()
    world.tick(12, PickedUp(720_000, RiderId(1), (OrderId("a"),)))
    world.places.pop(RiderId(1))
    world.tick(13)
    assert world.status("a") is OrderStatus.PICKED_UP
    result = world.tick(73)
    assert [(n.kind, n.order_id, n.reason) for n in result.notes] == [(NoteKind.FAILED, "a", "its rider vanished")]
    rider = world.state.riders[RiderId(1)]
    assert (rider.stops, rider.load, world.state.orders) == ((), 0, {})
    assert world.tick(74).notes == ()


def test_a_rider_out_of_sight_with_food_on_board_is_offered_nothing_more() -> None:
    """Soon free and next door, but unseen for longer than a fix may be old: the far rider is asked until it is back."""
    world = with_accepted_order()
    world.tick(12, PickedUp(720_000, RiderId(1), (OrderId("a"),)))
    place = world.places.pop(RiderId(1))
    world.tick(13)
    new = order("b", at=(900, 0), to=(1800, 0), placed=13, ready=14)
    assert [o.rider_id for o in world.peek(14, new).decisions.offers] == [1]
    assert [o.rider_id for o in world.peek(15, new).decisions.offers] == [2]
    world.places[RiderId(1)] = place
    assert [o.rider_id for o in world.peek(15, new).decisions.offers] == [1]


def test_an_order_that_nobody_takes_fails_at_last() -> None:
    """Ninety minutes after the food was ready; not before, and said once."""
    world = SmallWorld(params=PARAMS)
    world.tick(0, order("a", ready=10))
    world.tick(99)
    assert world.status("a") is OrderStatus.OPEN
    result = world.tick(100)
    assert [(n.kind, n.order_id, n.reason) for n in result.notes] == [(NoteKind.FAILED, "a", "nobody took it")]
    assert OrderId("a") in world.state.ended
    assert world.tick(101).notes == ()
