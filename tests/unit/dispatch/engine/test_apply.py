"""Effects of inputs on a city: the life of orders and offers, repeats and refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderCancelled,
    OrderReadyChanged,
    PickedUp,
    RiderArrived,
    RiderOffline,
)
from dispatch.engine.model import OfferId, OfferStatus, OrderId, OrderStatus, RiderId
from dispatch.engine.notes import NoteKind
from tests.unit.dispatch.engine.small_worlds import MINUTE_MS, SmallWorld, one_rider_one_order, order, reply

A, RIDER = OrderId("a"), RiderId(1)


def minutes(n: int) -> int:
    """Minutes in milliseconds."""
    return n * MINUTE_MS


def accepted() -> SmallWorld:
    """The rider has accepted the order and is at the counter."""
    world, offer = one_rider_one_order()
    world.tick(11, reply(offer, 11))
    return world


def on_board() -> SmallWorld:
    """The rider carries the order."""
    world = accepted()
    world.tick(12, PickedUp(minutes(12), RIDER, (A,)))
    return world


def test_order_lives_from_open_to_delivered() -> None:
    """An order goes through every state and ends; the rider is free again."""
    world, offer = one_rider_one_order()
    assert world.status("a") is OrderStatus.OFFERED
    notes = world.tick(11, reply(offer, 11)).notes
    assert [n.kind for n in notes] == [NoteKind.ASSIGNED]
    assert world.rider_now(1).order_ids == (A,)
    world.tick(11, RiderArrived(minutes(11), RIDER))
    assert world.rider_now(1).arrived
    world.tick(12, PickedUp(minutes(12), RIDER, (A,)))
    assert world.status("a") is OrderStatus.PICKED_UP
    assert world.rider_now(1).carrying
    notes = world.tick(20, Delivered(minutes(20), RIDER, A)).notes
    assert [n.kind for n in notes] == [NoteKind.DELIVERED]
    assert world.state.orders == {}
    assert world.rider_now(1).stops == ()
    assert world.rider_now(1).load == 0
    assert world.rider_now(1).rested_ms == minutes(21)


def test_declined_order_goes_back_at_once_and_the_decliner_rests() -> None:
    """After a decline the other rider is asked in the same tick; the decliner not before the cooldown."""
    world, offer = one_rider_one_order()
    result = world.tick(11, world.rider(2, at=(3000, 0)), reply(offer, 11, accepted=False))
    assert [o.rider_id for o in result.decisions.offers] == [RiderId(2)]
    (second,) = result.decisions.offers
    result = world.tick(12, reply(second, 12, accepted=False))
    assert result.decisions.offers == ()
    cooled = 11 + int(world.params.offers.cooldown_s // 60) + 1
    assert [o.rider_id for o in world.tick(cooled).decisions.offers] == [RIDER]


def test_unanswered_offer_expires() -> None:
    """An offer nobody answers ends by itself; a late answer is refused."""
    world, offer = one_rider_one_order()
    notes = world.tick(12).notes
    assert [n.kind for n in notes] == [NoteKind.EXPIRED]
    assert world.status("a") is OrderStatus.OPEN
    notes = world.tick(12, reply(offer, 12)).notes
    assert [(n.kind, n.reason) for n in notes] == [(NoteKind.REFUSED, "offer_not_live")]


@pytest.mark.parametrize("make", [accepted, lambda: one_rider_one_order()[0]])
def test_cancel_before_pickup_frees_the_rider(make: type[SmallWorld]) -> None:
    """A cancelled order leaves offer and plan."""
    world = make()
    notes = world.tick(11, OrderCancelled(minutes(11), A)).notes
    assert [n.kind for n in notes] == [NoteKind.CANCELLED]
    assert world.state.orders == {}
    assert world.state.offers == {}
    rider = world.rider_now(1)
    assert (rider.stops, rider.load, rider.offer_id) == ((), 0, None)


def test_cancel_on_board_is_refused() -> None:
    """Food on its way is not cancelled."""
    world = on_board()
    notes = world.tick(13, OrderCancelled(minutes(13), A)).notes
    assert [n.reason for n in notes] == ["on_board"]
    assert world.status("a") is OrderStatus.PICKED_UP


def test_rider_offline_before_pickup_hands_the_order_back() -> None:
    """The order waits for another rider."""
    world = accepted()
    notes = world.tick(12, RiderOffline(minutes(12), RIDER)).notes
    assert [n.kind for n in notes] == [NoteKind.UNASSIGNED]
    assert world.status("a") is OrderStatus.OPEN
    assert world.rider_now(1).load == 0


def test_rider_offline_with_an_offer_retracts_it() -> None:
    """The offer ends as retracted and the order is open again."""
    world, _ = one_rider_one_order()
    result = world.tick(11, RiderOffline(minutes(11), RIDER))
    assert [o.status for o in result.decisions.changes.offers] == [OfferStatus.RETRACTED]
    assert world.status("a") is OrderStatus.OPEN


def test_rider_offline_on_board_still_delivers() -> None:
    """What is on board stays with the rider."""
    world = on_board()
    world.tick(13, RiderOffline(minutes(13), RIDER))
    notes = world.tick(20, Delivered(minutes(20), RIDER, A)).notes
    assert [n.kind for n in notes] == [NoteKind.DELIVERED]


def test_orders_left_behind_at_the_counter_are_open_again() -> None:
    """A rider who takes one of two orders leaves the other to the pool."""
    world = SmallWorld()
    world.params = replace(world.params, bundles=replace(world.params.bundles, max_orders=2))
    first = world.tick(10, world.rider(1), order("a", to=(900, 0)), order("b", to=(950, 0)))
    world.tick(11, *(reply(o, 11) for o in first.decisions.offers))
    held = world.rider_now(1).order_ids
    world.tick(12, PickedUp(minutes(12), RIDER, held[:1]))
    assert world.status(held[0]) is OrderStatus.PICKED_UP
    others = [o for o in ("a", "b") if o != held[0]]
    assert all(world.status(o) is not OrderStatus.ASSIGNED for o in others)


REPEATS: list[tuple[str, Input]] = [
    ("order", order("a", ready=10)),
    ("cancel of an ended order", OrderCancelled(minutes(30), A)),
    ("delivery", Delivered(minutes(20), RIDER, A)),
    ("offline", RiderOffline(minutes(30), RIDER)),
]


@pytest.mark.parametrize(("label", "item"), REPEATS, ids=[r[0] for r in REPEATS])
def test_repeats_change_nothing(label: str, item: Input) -> None:
    """An input that has had its effect is noted as a duplicate and changes no entity."""
    world = on_board()
    world.tick(20, Delivered(minutes(20), RIDER, A))
    world.tick(21, RiderOffline(minutes(21), RIDER))
    result = world.peek(22, item)
    assert [n.kind for n in result.notes] == [NoteKind.DUPLICATE], label
    assert not result.decisions.changes


ILLEGAL: list[tuple[str, Input, str]] = [
    ("reply to no offer", OfferReplied(0, OfferId("x"), RIDER, True), "offer_not_live"),
    ("cancel of the unknown", OrderCancelled(0, OrderId("x")), "unknown_order"),
    ("delivery of the unknown", Delivered(0, RIDER, OrderId("x")), "unknown_order"),
    ("delivery before pickup", Delivered(0, RIDER, A), "not_on_board"),
    ("pickup of another's order", PickedUp(0, RiderId(2), (A,)), "not_to_pick_up"),
    ("pickup by nobody", PickedUp(0, RiderId(9), (A,)), "unknown_rider"),
    ("arrival without a plan", RiderArrived(0, RiderId(2)), "no_pickup_ahead"),
    ("offline of the unknown", RiderOffline(0, RiderId(9)), "unknown_rider"),
    ("ready time of the unknown", OrderReadyChanged(0, OrderId("x"), 5), "too_late"),
    ("order of no size", order("b", size=0), "bad_size"),
]


@pytest.mark.parametrize(("label", "item", "reason"), ILLEGAL, ids=[r[0] for r in ILLEGAL])
def test_illegal_inputs_are_refused_by_name(label: str, item: Input, reason: str) -> None:
    """Nothing raises, the reason is said, and no entity changes."""
    world = accepted()
    world.tick(11, world.rider(2, at=(90_000, 0)))
    result = world.peek(11, item)
    assert [(n.kind, n.reason) for n in result.notes] == [(NoteKind.REFUSED, reason)], label
    assert not result.decisions.changes


def test_ended_orders_are_forgotten_after_a_while() -> None:
    """The id of an ended order is kept for `forget_s`, then dropped."""
    world = on_board()
    world.tick(20, Delivered(minutes(20), RIDER, A))
    assert A in world.state.ended
    world.tick(20 + int(world.params.offers.forget_s // 60) + 1)
    assert A not in world.state.ended


def test_nothing_is_true_before_the_commit() -> None:
    """A tick that is not committed leaves the state as it was, and can be run again with the same result."""
    world = SmallWorld()
    inputs = (world.rider(1), order("a", ready=0))
    first = world.peek(1, *inputs)
    assert world.state.orders == {}
    assert world.state.riders == {}
    assert world.peek(1, *inputs) == first
