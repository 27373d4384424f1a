"""Where idle riders are sent: towards demand seen so far, never twice to one place's worth, never past their shift."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.engine.inputs import OrderOpened
from dispatch.engine.model import RiderId
from dispatch.engine.params import PrepositioningParams
from dispatch.engine.prepositioning.demand import Demand
from dispatch.engine.prepositioning.moves import Idle, IdleMove, idle_moves
from dispatch.engine.travel.planar import PlanarTravel, to_point
from node import geodesy
from tests.unit.dispatch.engine.small_worlds import METRES_PER_MINUTE, MINUTE_MS, order

PARAMS = PrepositioningParams(on=True)
HOUR = 60


def busy(restaurant: tuple[int, int], orders: int) -> list[OrderOpened]:
    """Orders of a restaurant, spread over the first hour."""
    return [order(f"o{restaurant}{i}", at=restaurant, placed=i * HOUR // orders) for i in range(orders)]


def demand_of(*orders: OrderOpened) -> Demand:
    """The demand known after these."""
    demand = Demand(PARAMS.memory_s)
    for opened in sorted(orders, key=lambda o: o.at_ms):
        demand.opened(opened)
    return demand


def sent(demand: Demand, *places: tuple[int, int], left_s: float = 7200.0) -> tuple[IdleMove, ...]:
    """Restaurants to which idle riders at these places go after the first hour."""
    points = [to_point(*xy) for xy in places]
    idle = Idle(
        tuple(RiderId(i + 1) for i in range(len(places))),
        geodesy.points(points),
        np.full(len(places), left_s),
    )
    return idle_moves(idle, demand, HOUR * MINUTE_MS, PlanarTravel(METRES_PER_MINUTE), PARAMS)


def test_a_rider_goes_where_orders_come_from() -> None:
    """Of two restaurants the busy one."""
    demand = demand_of(*busy((0, 0), 30), *busy((1500, 0), 2))
    (move,) = sent(demand, (750, 0))
    assert (move.restaurant_id, move.way_s) == ("r0,0", 180.0)


def test_one_who_stands_there_stays() -> None:
    """Nobody is sent to where it is."""
    assert sent(demand_of(*busy((0, 0), 30)), (0, 0)) == ()


def test_nobody_is_sent_without_history() -> None:
    """Nothing was ordered yet."""
    assert sent(demand_of(), (0, 0)) == ()


def test_nobody_is_sent_past_its_shift_or_too_far() -> None:
    """The way takes longer than the shift lasts, or than anybody is sent."""
    demand = demand_of(*busy((0, 0), 30))
    assert sent(demand, (900, 0), left_s=120.0) == ()
    assert sent(demand, (300 * 16, 0)) == ()


def test_five_do_not_crowd_one_counter() -> None:
    """A fifth rider at one counter is worth little: it goes to the other, or stays."""
    demand = demand_of(*busy((0, 0), 40), *busy((900, 0), 20))
    moves = sent(demand, *[(450, 10 * i) for i in range(7)])
    assert sum(m.restaurant_id == "r0,0" for m in moves) <= 4
    assert any(m.restaurant_id == "r900,0" for m in moves)


def test_old_orders_fade() -> None:
    """What was busy three hours ago is expected to be quiet."""
    demand = demand_of(*busy((0, 0), 30))
    _, _, soon = demand.expected(900.0, HOUR * MINUTE_MS)
    _, _, later = demand.expected(900.0, 4 * HOUR * MINUTE_MS)
    assert soon[0] == pytest.approx(30 / 4, rel=0.35)
    assert later[0] < soon[0] / 10
