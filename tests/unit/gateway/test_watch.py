"""One watched order: what its watchers may see, and when."""

from __future__ import annotations

import h3.api.basic_int as h3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live.model import FINAL, Place, RiderFix, StatusEvent, Stop
from gateway.live.watch import OrderWatch
from tests.unit.gateway.worlds import (
    CLOCK_LINE,
    DOOR,
    KITCHEN,
    ORDER,
    RIDER,
    fix,
    order_at_the_kitchen,
    read,
    track,
)


def watch_after(*words: str) -> OrderWatch:
    """A watched order of which dispatch told these states."""
    watch = OrderWatch(order_at_the_kitchen(), CLOCK_LINE)
    if words:
        watch.on_track(track(*words))
    return watch


def test_the_snapshot_tells_all_there_is() -> None:
    """Orders tells the beginning of the story, dispatch the rest, and nothing is told twice."""
    watch = watch_after("accepted", "accepted", "assigned")
    snapshot = read(watch.snapshot())
    assert snapshot["status"] == "assigned"
    assert [event["status"] for event in snapshot["events"]] == ["placed", "authorised", "accepted", "assigned"]
    assert (snapshot["epoch"], snapshot["seq"]) == (1, 3)
    assert snapshot["dropoff"] == {"lat": -29.92, "lng": -71.26}
    assert snapshot["clock"] == CLOCK_LINE


def test_orders_already_on_their_way_are_not_told_twice() -> None:
    """When the orders service knows the later states as well, dispatch's word stands once."""
    history = (*order_at_the_kitchen().history, StatusEvent(0, "assigned", 9))
    watch = OrderWatch(order_at_the_kitchen(status="assigned", history=history), CLOCK_LINE)
    assert [read(frame)["status"] for frame in watch.on_track(track("accepted", "assigned"))] == ["assigned"]
    words = [event["status"] for event in read(watch.snapshot())["events"]]
    assert words == ["placed", "authorised", "accepted", "assigned"]


def test_a_status_known_from_orders_does_not_go_back_when_dispatch_answers_again() -> None:
    """Who came while the city had no owner was told "picked_up" by orders: the way there is no news."""
    history = (*order_at_the_kitchen().history, StatusEvent(0, "assigned", 9), StatusEvent(0, "picked_up", 10))
    watch = OrderWatch(order_at_the_kitchen(status="picked_up", history=history), CLOCK_LINE)
    news = watch.on_track(track("accepted", "assigned", "accepted", "assigned", "picked_up"))
    assert [read(frame)["status"] for frame in news] == ["picked_up"]
    words = [event["status"] for event in read(watch.snapshot())["events"]]
    assert words == ["placed", "authorised", "accepted", "assigned", "accepted", "assigned", "picked_up"]


def test_before_pickup_a_rider_is_a_cell() -> None:
    """The frame has the cell and its middle; the place itself is nowhere in it."""
    watch = watch_after("assigned")
    frame = watch.on_fix(1, fix(1))
    assert frame is not None
    seen = read(frame)
    cell = h3.str_to_int(seen["cell"])
    assert h3.get_resolution(cell) == 8
    assert (seen["lat"], seen["lng"]) == pytest.approx(h3.cell_to_latlng(cell), abs=1e-5)
    assert "29.9046" not in str(seen["lat"])
    assert read(watch.snapshot())["rider"].keys() == {"cell", "lat", "lng", "border", "ts_ms"}


def test_within_one_cell_nothing_is_said_again() -> None:
    """The rhythm of frames must not tell how a rider moves inside of the cell."""
    watch = watch_after("assigned")
    frames = [watch.on_fix(1, fix(seq)) for seq in range(1, 10)]
    assert [frame is not None for frame in frames] == [True] + [False] * 8


def test_after_pickup_a_rider_is_a_place() -> None:
    """To the last of its seven digits."""
    watch = watch_after("assigned", "picked_up")
    frame = watch.on_fix(1, fix(1, picked_up=True, lat_e7=-299_123_456))
    assert frame is not None
    assert read(frame)["lat"] == -29.9123456
    assert read(watch.snapshot())["rider"] == {"lat": -29.9123456, "lng": -71.2489, "ts_ms": 1000, "heading": 90.0}


@pytest.mark.parametrize("end", sorted(FINAL))
def test_after_the_end_a_rider_is_nothing(end: str) -> None:
    """Whatever the end was: no position, no rider in the snapshot."""
    watch = watch_after("assigned", "picked_up")
    watch.on_fix(1, fix(1, picked_up=True))
    watch.on_track(track("assigned", "picked_up", end))
    assert watch.on_fix(1, fix(2, picked_up=True)) is None
    assert read(watch.snapshot())["rider"] is None


def test_stops_of_others_are_counted_and_not_shown() -> None:
    """A bundle's other addresses never leave the server."""
    other = Place(-298_000_000, -711_000_000)
    stops = (Stop("dropoff", ("another-order",), other, 4_000), Stop("dropoff", (ORDER,), DOOR, 5_000))
    watch = OrderWatch(order_at_the_kitchen(), CLOCK_LINE)
    watch.on_track(track("picked_up", stops=stops))
    assert read(watch.snapshot())["stops"] == [
        {"kind": "dropoff", "lat": -29.92, "lng": -71.26, "eta_ms": 5_000, "stops_before": 1}
    ]


def test_an_old_owner_is_not_listened_to() -> None:
    """Answers and positions with a lower epoch than the last seen change nothing."""
    watch = OrderWatch(order_at_the_kitchen(), CLOCK_LINE)
    watch.on_track(track("assigned", epoch=7))
    assert watch.on_track(track("assigned", "picked_up", epoch=6)) == []
    assert watch.on_fix(6, fix(1, picked_up=True)) is None
    assert watch.status == "assigned"


def test_another_rider_may_have_an_older_session() -> None:
    """After a reassignment the new rider's fixes count, though its session began earlier."""
    watch = watch_after("picked_up")
    assert watch.on_fix(1, fix(50, session=900, picked_up=True)) is not None
    assert watch.on_fix(1, fix(3, session=100, picked_up=True, rider_id=RIDER + 1)) is not None


@given(st.permutations(list(range(1, 13))), st.lists(st.integers(1, 12)))
def test_positions_converge_whatever_the_order(order: list[int], repeated: list[int]) -> None:
    """Duplicates and reordering end in the newest fix, and what is shown never goes back."""
    watch = watch_after("picked_up")
    shown = [
        read(frame)["ts_ms"]
        for seq in [*order, *repeated]
        if (frame := watch.on_fix(1, fix(seq, picked_up=True))) is not None
    ]
    assert shown == sorted(set(shown))
    assert shown[-1] == 12_000


def test_dispatch_s_own_fix_is_used_until_a_live_one_comes() -> None:
    """A watcher who joins sees the rider at once, not with the next position."""
    watch = OrderWatch(order_at_the_kitchen(), CLOCK_LINE)
    watch.on_track(track("picked_up", rider=RiderFix(KITCHEN, 500)))
    assert read(watch.snapshot())["rider"]["ts_ms"] == 500


def test_a_changed_estimate_is_told_without_a_status() -> None:
    """A Track with the same events and another plan makes one eta frame; the same plan makes none."""
    watch = watch_after("assigned")
    assert watch.on_track(track("assigned")) == []
    later = track("assigned", stops=(Stop("dropoff", (ORDER,), DOOR, 7_000),))
    (frame,) = watch.on_track(later)
    assert read(frame)["type"] == "eta"


class TestResume:
    def test_a_watcher_who_missed_events_gets_those(self) -> None:
        """Only what came after the seq it had, then the present state."""
        watch = watch_after("accepted", "assigned", "picked_up")
        frames = watch.resumed(1, 2)
        assert frames is not None
        assert [(read(frame)["type"], read(frame)["status"]) for frame in frames] == [
            ("status", "picked_up"),
            ("resumed", "picked_up"),
        ]

    @pytest.mark.parametrize(
        ("epoch", "seq", "why"), [(2, 2, "another owner"), (1, 9, "a future it cannot know"), (1, 0, "a fresh start")]
    )
    def test_else_a_snapshot_is_due(self, epoch: int, seq: int, why: str) -> None:
        """A point that this watch cannot vouch for is not resumed from."""
        assert watch_after("accepted", "assigned").resumed(epoch, seq) is None, why
