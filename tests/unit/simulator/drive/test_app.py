"""Between a rider's mind and its app."""

from __future__ import annotations

import pytest

from simulator.city import actions as act
from simulator.city.model import OfferId, OrderId, Place
from simulator.drive.app import fix_row, messages_of, mind_hears
from tests.unit.simulator.city.worlds import rider_at_home, street
from tracking.client import values as app
from tracking.client.send_buffer import Reply, Status
from tracking.statuses import RiderStatus, Vehicle

O1, O2 = OrderId("o1"), OrderId("o2")


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (act.Offline(5), [Status(RiderStatus.OFFLINE, 5)]),
        (act.Answered(5, OfferId("f1"), True), [Reply("f1", True, 5)]),
        (act.Arrived(5, (O1, O2)), [Status(RiderStatus.ARRIVED, 5, "o1")]),
        (
            act.PickedUp(5, (O1, O2)),
            [Status(RiderStatus.PICKED_UP, 5, "o1"), Status(RiderStatus.PICKED_UP, 5, "o2")],
        ),
        (act.Delivered(5, O1), [Status(RiderStatus.DELIVERED, 5, "o1")]),
        (act.Seen(OfferId("f1")), []),
        (act.SignalLost(5), []),
    ],
)
def test_what_the_app_says(action: act.Action, said: list[Reply | Status]) -> None:
    """Each action is the messages of the SDK that tell it."""
    assert list(messages_of(action, rider_at_home().profile)) == said


def test_going_online_tells_the_terms() -> None:
    """Where, until when, with what vehicle and how much room."""
    profile = rider_at_home().profile
    [said] = messages_of(act.Online(5, Place(1, 2), 99), profile)
    assert said == Status(
        RiderStatus.ONLINE, 5, shift_end_ms=99, capacity=profile.capacity, vehicle=Vehicle.SCOOTER, at=(1, 2)
    )


def test_a_fix_in_the_sdk_s_units() -> None:
    """Decimetres, centidegrees below a full turn, centimetres a second."""
    assert fix_row(act.Fix(7, Place(1, 2), 4.56, 359.999, 8.5)) == (7, 1, 2, 46, 0, 850)


def test_the_mind_follows_what_the_app_shows() -> None:
    """An offer is seen and answered, a route is driven, a disconnect is nothing."""
    rider = rider_at_home()
    rider.step(0)
    at = street(1)
    stop = app.Stop(app.StopKind.PICKUP, ("o1",), at.lat_e7, at.lng_e7, 0, 0, "r1")
    assert mind_hears(rider, app.Offer("f1", ("o1",), (stop,), 99_000, 1), 0) == [act.Seen(OfferId("f1"))]
    assert act.Answered(0, OfferId("f1"), True) in rider.step(0)
    assert mind_hears(rider, app.Route((stop,), 3), 0) == []
    assert rider.busy
    assert mind_hears(rider, app.OfferRetracted("f1", "gone"), 0) == []
    assert mind_hears(rider, app.Disconnected("no signal"), 0) == []
