"""Behaviour of riders."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.city.actions import (
    Answered,
    Arrived,
    Delivered,
    Fix,
    Offline,
    Online,
    PickedUp,
    Seen,
    SignalBack,
    SignalLost,
)
from simulator.city.kitchen import Pass
from simulator.city.model import OfferId, OrderId
from simulator.city.rider import Rider
from simulator.city.shifts import Shift
from tests.unit.simulator.city.worlds import (
    CALM,
    HOUR_MS,
    drop,
    lived,
    offer,
    pickup,
    rider_at_home,
    route,
    street,
)

ONE_ORDER = (pickup("o1", km=1), drop("o1", km=2))


def on_shift(**changes: object) -> Rider:
    """A calm rider whose shift has begun."""
    rider = rider_at_home(replace(CALM, **changes))  # type: ignore[arg-type]
    rider.step(0)
    return rider


def test_the_shift_begins_and_ends() -> None:
    """A rider goes online where the day begins and offline when the shift is over."""
    rider = rider_at_home(shift=Shift(60_000, 120_000))
    assert lived(rider, 300_000) == [Online(60_000, street(0), 120_000), Offline(120_000)]


def test_a_whole_delivery_at_its_exact_times() -> None:
    """1 km to the counter at 10 m/s, half a minute's service around each handover, 1 km to the door."""
    rider = on_shift()
    assert rider.hear_offer(offer("f1", *ONE_ORDER), 0) == [Seen(OfferId("f1"))]
    assert rider.step(0) == [Answered(0, OfferId("f1"), True)]
    rider.hear_route(route(1, *ONE_ORDER), 0)
    o1 = OrderId("o1")
    assert lived(rider, 400_000) == [
        Arrived(100_000, (o1,)),
        PickedUp(130_000, (o1,)),
        Delivered(290_000, o1),
    ]
    assert not rider.busy


def test_food_that_is_late_is_waited_for() -> None:
    """The handover waits for the kitchen's real time, not for what it said."""
    counter = Pass()
    counter.expect(OrderId("o1"), 200_000)
    rider = rider_at_home(counter=counter)
    rider.step(0)
    rider.hear_route(route(1, pickup("o1", ready_ms=50_000), drop("o1")), 0)
    assert PickedUp(200_000, (OrderId("o1"),)) in lived(rider, 250_000)


def test_an_unconfirmed_yes_gets_no_food() -> None:
    """A rider whose yes came too late stands at the counter until the patience ends, then goes away."""
    rider = on_shift(confirm_s=300)
    rider.hear_offer(offer("f1", *ONE_ORDER), 0)
    actions = lived(rider, 600_000)
    assert actions == [Answered(0, OfferId("f1"), True), Arrived(100_000, (OrderId("o1"),))]
    assert not rider.busy


def test_a_confirmation_at_the_counter_frees_the_food() -> None:
    """The route that shows the order may come while the rider waits."""
    rider = on_shift(confirm_s=300)
    rider.hear_offer(offer("f1", *ONE_ORDER), 0)
    lived(rider, 200_000)
    rider.hear_route(route(1, *ONE_ORDER), 200_000)
    assert rider.step(200_000) == [PickedUp(200_000, (OrderId("o1"),))]


def test_a_retracted_offer_turns_the_rider_round() -> None:
    """An accepted offer that is retracted before a route shows it is dropped on the way."""
    rider = on_shift()
    rider.hear_offer(offer("f1", *ONE_ORDER), 0)
    rider.step(50_000)
    rider.hear_retracted(OfferId("f1"), 50_000)
    assert not rider.busy
    assert rider.pose(HOUR_MS).at.distance_m(street(0.5)) < 0.1


def test_a_lapsed_offer_is_not_answered() -> None:
    """Nobody answers what the app no longer shows."""
    rider = on_shift(answer_s=(20, 20))
    rider.hear_offer(offer("f1", *ONE_ORDER, expires_ms=10_000), 0)
    assert lived(rider, 60_000) == []


def test_an_offer_shown_twice_is_answered_once() -> None:
    """Resending an offer is quieted, and changes nothing."""
    rider = on_shift()
    rider.hear_offer(offer("f1", *ONE_ORDER), 0)
    first = rider.step(0)
    assert rider.hear_offer(offer("f1", *ONE_ORDER), 1000) == [Seen(OfferId("f1"))]
    assert (len(first), rider.step(1000)) == (1, [])


def test_who_always_declines_never_moves() -> None:
    """A no is a no."""
    rider = on_shift(decline=1)
    rider.hear_offer(offer("f1", *ONE_ORDER), 0)
    assert lived(rider, 300_000) == [Answered(0, OfferId("f1"), False)]


def test_late_routes_undo_nothing() -> None:
    """Routes that still show finished stops bring nothing back, and food on board is not forgotten."""
    rider = on_shift()
    rider.hear_route(route(1, *ONE_ORDER), 0)
    lived(rider, 140_000)
    rider.hear_route(route(2), 140_000)
    assert lived(rider, 300_000) == [Delivered(290_000, OrderId("o1"))]
    rider.hear_route(route(3, *ONE_ORDER), 300_000)
    assert not any(isinstance(action, Arrived) for action in lived(rider, 600_000))


def test_an_older_route_is_ignored() -> None:
    """Only a higher version replaces the plan."""
    rider = on_shift()
    rider.hear_route(route(5, *ONE_ORDER), 0)
    rider.hear_route(route(4), 0)
    assert rider.busy


def test_a_bundle_grows_at_the_counter() -> None:
    """An order added while the rider waits is taken along."""
    counter = Pass()
    counter.expect(OrderId("o1"), 300_000)
    rider = rider_at_home(counter=counter)
    rider.step(0)
    rider.hear_route(route(1, *ONE_ORDER), 0)
    lived(rider, 150_000)
    rider.hear_route(route(2, pickup("o1", "o2"), drop("o1"), drop("o2", km=3)), 150_000)
    both = (OrderId("o1"), OrderId("o2"))
    assert lived(rider, 700_000) == [
        PickedUp(300_000, both),
        Delivered(460_000, OrderId("o1")),
        Delivered(620_000, OrderId("o2")),
    ]


def test_the_shift_ends_after_the_last_delivery() -> None:
    """Nobody goes home with food on board."""
    rider = rider_at_home(shift=Shift(0, 150_000))
    rider.step(0)
    rider.hear_route(route(1, *ONE_ORDER), 0)
    assert lived(rider, 600_000)[-2:] == [Delivered(290_000, OrderId("o1")), Offline(320_000)]


def test_fixes_come_on_time_and_near_the_truth() -> None:
    """One fix a period, within twice its accuracy of where the rider is."""
    rider = rider_at_home(replace(CALM, accuracy_m=(5, 10)))
    rider.step(0)
    rider.hear_route(route(1, *ONE_ORDER), 0)
    fixes = [a for t in range(0, 600_001, 1000) for a in rider.step(t) if isinstance(a, Fix)]
    assert len(fixes) in (60, 61)
    assert all(5 <= fix.accuracy_m <= 10 for fix in fixes)
    away_m = [fix.place.distance_m(rider.pose(fix.at_ms).at) for fix in fixes if fix.at_ms > 300_000]
    assert all(metres <= 20.1 for metres in away_m)
    assert any(metres > 1 for metres in away_m)


def test_the_signal_goes_and_comes() -> None:
    """Losses alternate with returns, and each lasts as long as the params say."""
    rider = rider_at_home(replace(CALM, losses_per_hour=20, loss_s=(30, 60)), shift=Shift(0, 4 * HOUR_MS))
    signals = [a for a in lived(rider, 4 * HOUR_MS) if isinstance(a, SignalLost | SignalBack)]
    assert len(signals) > 20
    assert all(isinstance(a, SignalLost) == (i % 2 == 0) for i, a in enumerate(signals))
    lost_ms = [back.at_ms - lost.at_ms for lost, back in zip(signals[::2], signals[1::2], strict=False)]
    assert all(30_000 <= ms <= 60_000 for ms in lost_ms)


@pytest.mark.parametrize("drift", [0.0, 1.0])
def test_idle_riders_drift_or_stay(drift: float) -> None:
    """With drift certain an idle rider ends up at the busy place, without it at home."""
    rider = on_shift(drift=drift)
    lived(rider, HOUR_MS - 1)
    assert rider.pose(HOUR_MS - 1).at == (street(3) if drift else street(0))


def test_the_same_seed_lives_the_same_life() -> None:
    """Behaviour is a function of seed, times and messages."""

    def life() -> list[object]:
        rider = rider_at_home(replace(CALM, answer_s=(1, 9), accuracy_m=(3, 9), drift=0.5, losses_per_hour=5), seed=7)
        out: list[object] = list(rider.step(0))
        out += rider.hear_offer(offer("f1", *ONE_ORDER), 0)
        for now_ms in range(0, HOUR_MS, 5000):
            out += rider.step(now_ms)
        return out

    assert life() == life()
