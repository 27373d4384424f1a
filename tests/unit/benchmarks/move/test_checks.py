"""Double assignments are found in what was told, when they are there."""

from __future__ import annotations

import random

import pytest

from benchmarks.move.checks import doubles
from proto.dispatch.v1.dispatch_event_pb2 import Assigned, Delivered, DispatchEvent, EtaChanged, PickedUp, Unassigned


def assigned(version: int, rider: int) -> DispatchEvent:
    """A rider accepted the order."""
    return DispatchEvent(order_id="order", version=version, assigned=Assigned(rider_id=rider))


def unassigned(version: int, rider: int) -> DispatchEvent:
    """A rider gave it back."""
    return DispatchEvent(order_id="order", version=version, unassigned=Unassigned(rider_id=rider))


def picked_up(version: int, rider: int) -> DispatchEvent:
    """A rider has it."""
    return DispatchEvent(order_id="order", version=version, picked_up=PickedUp(rider_id=rider))


def delivered(version: int, rider: int) -> DispatchEvent:
    """A rider brought it."""
    return DispatchEvent(order_id="order", version=version, delivered=Delivered(rider_id=rider))


ETA = DispatchEvent(order_id="order", version=2, eta_changed=EtaChanged())

STORIES = [
    ("one rider", [assigned(1, 7), ETA, picked_up(3, 7), delivered(4, 7)], False),
    ("told again", [assigned(1, 7), assigned(1, 7), picked_up(2, 7)], False),
    ("given back between", [assigned(1, 7), unassigned(2, 7), assigned(3, 8), delivered(4, 8)], False),
    ("back with the same", [assigned(1, 7), unassigned(2, 7), assigned(3, 7)], False),
    ("a second without a step back", [assigned(1, 7), ETA, assigned(3, 8)], True),
    ("two in one version", [assigned(1, 7), assigned(1, 8)], True),
    ("a stranger steps back", [assigned(1, 7), unassigned(2, 9), assigned(3, 8)], True),
    ("a second picks it up", [assigned(1, 7), picked_up(2, 8)], True),
    ("once more after the door", [assigned(1, 7), delivered(2, 7), assigned(3, 8)], True),
]


@pytest.mark.parametrize(("events", "double"), [row[1:] for row in STORIES], ids=[row[0] for row in STORIES])
def test_an_order_with_two_riders_is_found_in_any_order_of_telling(events: list[DispatchEvent], double: bool) -> None:
    """As told, and shuffled."""
    assert doubles(events) == ({"order"} if double else set())
    random.Random(1).shuffle(events)
    assert doubles(events) == ({"order"} if double else set())


def test_orders_do_not_mix() -> None:
    """A rider and another rider, each with an order of its own."""
    other = DispatchEvent(order_id="other", version=2, assigned=Assigned(rider_id=8))
    assert doubles([assigned(1, 7), other]) == set()
