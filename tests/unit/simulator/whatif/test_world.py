"""The modelled world of a recording: times that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatch.engine.inputs import OrderOpened, RiderOnline
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import OrderId, Point, RestaurantId, RiderId, Vehicle
from dispatch.engine.params import EngineParams, OfferParams, PaceParams, ServiceParams
from dispatch.engine.ports import Points, Seconds
from dispatch.engine.snapshot import pack_memory
from simulator.whatif.regret import most_delayed, outcome, regret
from simulator.whatif.script import Script, ScriptedInput
from simulator.whatif.world import simulate

RIDER = RiderId(7)
PARAMS = EngineParams(service=ServiceParams(60, 60), offers=OfferParams(lead_s=900))


class Minutes:
    """A minute for every 1e-4 degrees of latitude."""

    version = "minutes"

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        apart: Seconds = np.abs(origins[:, None, 0] - destinations[None, :, 0]) * 0.06
        return apart


def script(ready_min: int, vehicle: Vehicle = Vehicle.MOTORBIKE) -> Script:
    """A rider two minutes from the counter; one order to a door five minutes on; ticks each second."""
    counter, door = Point(2000, 0), Point(7000, 0)
    order = OrderOpened(0, OrderId("a"), RestaurantId("r"), counter, door, 0, 60_000 * ready_min, 60_000 * 9, 1)
    lines = [ScriptedInput(0, RiderOnline(0, RIDER, 10**9, 3, vehicle)), ScriptedInput(0, order)]
    return Script(
        city="town",
        began_ms=0,
        ended_ms=60_000,
        step_ms=1000,
        reply_ms=2000,
        service=PARAMS.service,
        pace=PARAMS.pace,
        lines=lines,
        start=pack_memory(CityMemory()),
        places={RIDER: Point(0, 0)},
    )


def test_a_rider_rides_waits_and_delivers() -> None:
    """Offer at 0, answer after 2 s, heard the second after; two minutes' way, the food waits for half the service."""
    fates = simulate(script(ready_min=0), PARAMS, Minutes())
    accepted_ms = 2000
    picked_ms = accepted_ms + 120_000 + 30_000
    assert fates.picked_up == {"a": picked_ms}
    assert fates.delivered == {"a": picked_ms + 30_000 + 300_000 + 30_000}
    assert (fates.offers, fates.pickups, fates.churned) == (1, 1, 0)


def test_a_bicycle_takes_longer() -> None:
    """Every way takes 1.4 times as long, the services do not."""
    fates = simulate(script(ready_min=0, vehicle=Vehicle.BICYCLE), PARAMS, Minutes())
    picked_ms = 2000 + 168_000 + 30_000
    assert fates.picked_up == {"a": picked_ms}
    assert fates.delivered == {"a": picked_ms + 30_000 + 420_000 + 30_000}


def test_a_policy_does_not_change_the_world_it_is_judged_in() -> None:
    """Other beliefs about service and pace: the same offer is made, and all takes as long as it did."""
    same = simulate(script(ready_min=0, vehicle=Vehicle.BICYCLE), PARAMS, Minutes())
    hasty = replace(PARAMS, service=ServiceParams(0, 0), pace=PaceParams(bicycle=0.5))
    assert simulate(script(ready_min=0, vehicle=Vehicle.BICYCLE), hasty, Minutes()) == same


def test_late_food_holds_the_rider_up() -> None:
    """The pickup is when the food is ready; the table says how much longer the customer waited."""
    late, soon = (simulate(script(ready_min=m), PARAMS, Minutes()) for m in (8, 0))
    assert late.picked_up == {"a": 480_000}
    (row,) = most_delayed(late, soon, 3)
    assert row == ("a", (late.delivered[OrderId("a")] - soon.delivered[OrderId("a")]) / 60_000)
    table = regret(outcome(soon), outcome(late), outcome(soon))
    assert table["orders"] == {"recorded": 1, "same_policy": 1, "other_policy": 1, "difference": 0}
    assert table["click_to_door_mean_min"]["difference"] == round(-row[1], 3)


def test_the_same_world_twice_is_the_same() -> None:
    """No luck in it; another policy meets the same orders."""
    again = [simulate(script(ready_min=3), replace(PARAMS, version=v), Minutes()) for v in ("x", "x", "y")]
    assert again[0] == again[1] == again[2]
