"""Decision records: every term, the others who could have come, and who could not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dispatch.engine.matching.packing import busy_price
from dispatch.engine.matching.packing_columns import columns_of
from dispatch.engine.model import OrderId, RiderId
from tests.unit.dispatch.engine.small_worlds import SmallWorld, order, reply

A, B = OrderId("a"), OrderId("b")


def test_terms_sum_up_to_the_cost() -> None:
    """Of the chosen rider and of each alternative."""
    world = SmallWorld()
    riders = [world.rider(1), world.rider(2, at=(600, 0)), world.rider(3, at=(2400, 0))]
    result = world.tick(10, *riders, order("a", ready=10))
    (record,) = result.decisions.records
    assert record.cost == pytest.approx(sum(value for _, value in record.terms), abs=0.01)
    ((order_id, others),) = record.alternatives
    assert (order_id, [o.rider_id for o in others]) == (A, [2, 3])
    for other in others:
        assert other.cost == pytest.approx(sum(value for _, value in other.terms), abs=0.01)
        assert other.cost > record.cost


def test_in_a_crowded_city_records_tell_the_cost_that_was_minimised() -> None:
    """Four orders a rider: each record, and each rider named beside it, costs what its column cost the solver."""
    world = SmallWorld()
    riders = [world.rider(1), world.rider(2, at=(600, 0)), world.rider(3, at=(2400, 0))]
    orders = [order(f"o{i}", to=(900 + 400 * i, 300 * i), ready=10 + i) for i in range(12)]
    result = world.tick(10, *riders, *orders)
    problem = result.problem
    assert problem is not None
    price = busy_price(problem, world.params.cost)
    assert result.decisions.solution.busy_price == price > 0
    columns = columns_of(problem, world.params, price)
    cost_of = {
        (problem.riders.ids[rider], tuple(problem.orders.ids[o] for o in rows if o >= 0)): cost
        for rider, rows, cost in zip(
            columns.rider.tolist(), columns.orders.tolist(), columns.cost.tolist(), strict=True
        )
    }
    assert result.decisions.records
    for record in result.decisions.records:
        assert record.cost == pytest.approx(cost_of[record.rider_id, record.order_ids], abs=0.001)
        assert record.cost == pytest.approx(sum(value for _, value in record.terms), abs=0.01)
        for order_id, others in record.alternatives:
            for other in others:
                assert other.cost == pytest.approx(cost_of[other.rider_id, (order_id,)], abs=0.001)


def test_who_could_not_come_is_counted_by_what_stood_in_the_way() -> None:
    """Too little room, another zone, a shift that ends, an offer declined: each is named."""
    world = SmallWorld()
    riders = [
        world.rider(1, at=(300, 0)),
        world.rider(2, capacity=1),
        replace(world.rider(3), zone="north"),
        world.rider(4, at=(9000, 0), off=20),
    ]
    big = replace(order("a", ready=10, size=2), zone="south")
    (record,) = world.tick(10, *riders, big).decisions.records
    assert (record.rider_id, record.candidates) == (1, 1)
    assert dict(record.not_eligible) == {"room": 1, "zone": 1, "shift": 1}


def test_a_decline_is_named_in_the_next_record() -> None:
    """The rider who said no is not asked again, and the record says so; its no is remembered."""
    world = SmallWorld()
    (first,) = world.tick(10, world.rider(1), world.rider(2, at=(600, 0)), order("a", ready=10)).decisions.offers
    assert first.rider_id == 1
    (record,) = world.tick(11, reply(first, 11, accepted=False)).decisions.records
    assert record.rider_id == 2
    assert dict(record.not_eligible) == {"cooldown": 1}
    assert (world.rider_now(1).offers_answered, world.rider_now(1).offers_refused) == (1, 1)


def test_a_rider_who_declines_often_is_asked_later() -> None:
    """Of two at the same place the one who is likely to accept gets the offer."""
    world = SmallWorld()
    world.tick(0, world.rider(1), world.rider(2))
    known = world.state.riders[RiderId(1)]
    world.state.riders[RiderId(1)] = replace(known, offers_answered=10, offers_refused=9)
    (offer,) = world.tick(10, order("a", ready=10)).decisions.offers
    assert offer.rider_id == 2
