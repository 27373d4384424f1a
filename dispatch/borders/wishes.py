"""Whom a city would borrow: it asks the engine what one city made of it and its neighbours would do. Pure.

    own orders, riders  ┐
                        ├─> pose, solve ─> riders of theirs that this plan sends out for own orders, now
    theirs (a `View`)   ┘

So a rider is wished for only when the joint plan has nothing better for it at home.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dispatch.engine.inputs import Positions
from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.timing import due_trips
from dispatch.engine.model import Order, OrderStatus, Rider
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.pose import pose
from dispatch.engine.state import Draft

_WAITING = (OrderStatus.OPEN, OrderStatus.ASSIGNED)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a neighbour is shown of a city: orders that may still change riders, riders on shift, where they are."""

    orders: tuple[Order, ...]
    riders: tuple[Rider, ...]
    positions: Positions


def view(draft: Draft, positions: Positions) -> View:
    """The city as its neighbours see it."""
    orders = tuple(order for order in draft.orders() if order.status in _WAITING)
    riders = tuple(rider for rider in draft.riders() if rider.online and not rider.lent)
    return View(orders, riders, positions)


def joined(views: Iterable[View]) -> View:
    """Several neighbours as one."""
    every = list(views)
    return View(
        tuple(order for one in every for order in one.orders),
        tuple(rider for one in every for rider in one.riders),
        _together(Positions.none(), *(one.positions for one in every)),
    )


def pose_jointly(
    draft: Draft, positions: Positions, theirs: View, now_ms: int, travel: TravelTimes, params: EngineParams
) -> Problem:
    """The question of now, were it one city. Uses the draft up."""
    for order in theirs.orders:
        draft.put_order(order)
    for rider in theirs.riders:
        draft.put_rider(rider)
    return pose(draft, _together(positions, theirs.positions), now_ms, travel, params)


def wished(problem: Problem, solution: Solution, theirs: View, params: EngineParams) -> list[Rider]:
    """Riders of the neighbours who have nothing to do and whom the joint plan sends out now for own orders only."""
    idle = {rider.rider_id: rider for rider in theirs.riders if may_be_lent(rider)}
    strange = {order.order_id for order in theirs.orders}
    found = []
    for assigned in (trip.assigned for trip in due_trips(problem, params, solution.assigned)):
        rider = idle.get(problem.riders.ids[assigned.rider])
        if rider is not None and not any(problem.orders.ids[row] in strange for row in assigned.orders):
            found.append(rider)
    return found


def may_be_lent(rider: Rider) -> bool:
    """A rider of the city itself, on shift, with nothing to do."""
    return rider.online and not (rider.lent or rider.borrowed or rider.stops or rider.offer_id is not None)


def _together(*parts: Positions) -> Positions:
    names = ("rider_ids", "lat_e7", "lng_e7", "age_ms")
    return Positions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
