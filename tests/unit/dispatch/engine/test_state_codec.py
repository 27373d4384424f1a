"""State that is stored and loaded again is the same state."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dispatch.engine.codec import from_plain, to_plain
from dispatch.engine.model import Cooldown, Offer, Order, OrderId, Rider, RiderId
from dispatch.engine.state import CityState, Entity
from dispatch.errors import InvalidEntity
from tests.unit.dispatch.engine.small_worlds import one_rider_one_order, order, reply


def stored(state: CityState) -> CityState:
    """The state by way of JSON."""
    entities: list[Entity] = [
        *(from_plain(Order, json.loads(json.dumps(to_plain(o)))) for o in state.orders.values()),
        *(from_plain(Rider, json.loads(json.dumps(to_plain(r)))) for r in state.riders.values()),
        *(from_plain(Offer, json.loads(json.dumps(to_plain(o)))) for o in state.offers.values()),
        *(Cooldown(r, o, until) for (r, o), until in state.cooldowns.items()),
    ]
    return CityState.load(entities)


def test_a_city_survives_storage_at_every_step() -> None:
    """Offered, declined and accepted states are equal after a round trip, and decide the same."""
    world, offer = one_rider_one_order()
    assert stored(world.state) == world.state
    world.tick(11, reply(offer, 11, accepted=False), world.rider(2, at=(600, 0)), order("b", at=(600, 0), ready=11))
    assert stored(world.state) == world.state
    here = world.peek(12)
    world.state = stored(world.state)
    assert world.peek(12) == here


def test_ended_orders_are_loaded_as_ended() -> None:
    """An order stored as delivered is known to have ended, so a repeat of its opening is a duplicate."""
    world, _ = one_rider_one_order()
    cancelled = replace(world.order("a"), status="cancelled", ended_ms=5)  # type: ignore[arg-type]
    state = CityState.load([from_plain(Order, to_plain(cancelled))])
    assert state.orders == {}
    assert state.ended == {OrderId("a"): 5}


@pytest.mark.parametrize(
    ("label", "change"),
    [("text for a number", {"size": "two"}), ("unknown status", {"status": "lost"}), ("no such nesting", {"drop": 7})],
)
def test_bad_stored_entities_are_named(label: str, change: dict[str, object]) -> None:
    """The error names the class."""
    world, _ = one_rider_one_order()
    plain = to_plain(world.order("a")) | change
    with pytest.raises(InvalidEntity, match="Order"):
        from_plain(Order, plain)
    assert RiderId(1) in world.state.riders, label
