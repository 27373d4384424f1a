"""Choose riders to borrow from neighbouring cities: solve both as one, keep their idle riders that serve our orders.

    own orders, riders     ┐
                           ├─> pose, solve ─> riders of theirs that this plan sends out for own orders, now
    theirs (`SharedView`)  ┘

So a rider is asked for only when the joint plan has nothing better for it at home.
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
class SharedView:
    """The part of a city that a neighbour is shown: orders that may still change riders, riders on shift, positions."""

    orders: tuple[Order, ...]
    riders: tuple[Rider, ...]
    positions: Positions


def shared_view(draft: Draft, positions: Positions) -> SharedView:
    """The part of a city that its neighbours are shown."""
    orders = tuple(order for order in draft.orders() if order.status in _WAITING)
    riders = tuple(rider for rider in draft.riders() if rider.online and not rider.lent)
    return SharedView(orders, riders, positions)


def join_views(views: Iterable[SharedView]) -> SharedView:
    """Join the views of several neighbours into one."""
    every = list(views)
    return SharedView(
        tuple(order for one in every for order in one.orders),
        tuple(rider for one in every for rider in one.riders),
        _together(Positions.none(), *(one.positions for one in every)),
    )


def pose_jointly(
    draft: Draft, positions: Positions, theirs: SharedView, now_ms: int, travel: TravelTimes, params: EngineParams
) -> Problem:
    """The problem of now, as if both were one city. Modifies `draft`; do not use it afterwards."""
    for order in theirs.orders:
        draft.put_order(order)
    for rider in theirs.riders:
        draft.put_rider(rider)
    return pose(draft, _together(positions, theirs.positions), now_ms, travel, params)


def riders_to_borrow(problem: Problem, solution: Solution, theirs: SharedView, params: EngineParams) -> list[Rider]:
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
