"""One order, one rider: the cost of the answer worked out by hand, not by the engine's own terms."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.engine.apply import apply
from dispatch.engine.inputs import OrderOpened, Positions, RiderOnline
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import OrderId, Point, RestaurantId, RiderId
from dispatch.engine.params import CostParams, EngineParams, ServiceParams
from dispatch.engine.ports import Points, Seconds
from dispatch.engine.pose import pose
from dispatch.engine.state import CityState, Draft

PARAMS = EngineParams(
    service=ServiceParams(60, 60), cost=CostParams(late=0.5, waiting=0.5, approach=0.2, refusal_s=0.0, spread=0.0)
)


class Minutes:
    """A minute for every 1e-4 degrees of latitude."""

    version = "minutes"

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        apart: Seconds = np.abs(origins[:, None, 0] - destinations[None, :, 0]) * 0.06
        return apart


@pytest.mark.parametrize(("promised_s", "late_s"), [(540, 0), (480, 30)])
def test_the_cost_of_one_trip(promised_s: int, late_s: int) -> None:
    """The rider is 120 s from the counter, the door 300 s further, the food ready now, a service 60 s.

    At the counter at 120, in hand at 150, off at 180, at the door at 480, handed over at 510. A rider at the counter
    would have handed over at 30 + 300 + 30 = 360: 150 s of delay at 1; food in hand 150 s after it was ready, at 0.5;
    a way of 120 s, at 0.2; what is past the promise, at 0.5.
    """
    order = OrderOpened(0, OrderId("a"), RestaurantId("r"), Point(2000, 0), Point(7000, 0), 0, 0, promised_s * 1000)
    draft = Draft(CityState())
    apply(draft, [RiderOnline(0, RiderId(1), 10**9, 3), order], 0, PARAMS)
    i64 = np.zeros(1, np.int64)
    problem = pose(draft, Positions(np.ones(1, np.uint64), i64, i64, i64), 0, Minutes(), PARAMS)
    assert solve(problem, PARAMS).cost == pytest.approx(150 + 0.5 * 150 + 0.2 * 120 + 0.5 * late_s)
