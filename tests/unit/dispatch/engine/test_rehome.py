"""A rider's home changes only while it has nothing to do."""

from __future__ import annotations

from dispatch.engine.codec import from_plain, to_plain
from dispatch.engine.inputs import PickedUp, RiderMovedIn, RiderMovedOut
from dispatch.engine.model import OrderId, Rider, RiderId
from dispatch.engine.notes import NoteKind
from tests.unit.dispatch.engine.small_worlds import MINUTE_MS, SmallWorld, one_rider_one_order, order, reply

RIDER = RiderId(1)


def moved_out(minute: int) -> RiderMovedOut:
    """The rider wants to live in Milan."""
    return RiderMovedOut(minute * MINUTE_MS, RIDER, "milano")


def test_an_idle_rider_moves_and_is_offered_nothing_more() -> None:
    """It is off shift here, remembered as moved; the same again changes nothing; a new order finds nobody."""
    world = SmallWorld()
    world.tick(0, world.rider(1))
    assert not world.tick(1, moved_out(1)).notes
    moved = world.state.riders[RIDER]
    assert (moved.online, moved.moved_to) == (False, "milano")
    assert [note.kind for note in world.tick(2, moved_out(2)).notes] == [NoteKind.DUPLICATE]
    world.tick(10, order("a"))
    assert world.state.offers == {}
    assert from_plain(Rider, to_plain(moved)) == moved


def test_a_rider_with_an_offer_or_an_order_stays() -> None:
    """Offered, on the way, and with the food on board: refused each time, and nothing is lost."""
    world, offer = one_rider_one_order()
    refused = [world.tick(10, moved_out(10)).notes]
    refused.append(world.tick(11, reply(offer, 11), moved_out(11)).notes[-1:])
    refused.append(world.tick(12, PickedUp(12 * MINUTE_MS, RIDER, (OrderId("a"),)), moved_out(12)).notes[-1:])
    assert [[(note.kind, note.reason) for note in notes] for notes in refused] == [[(NoteKind.REFUSED, "not_idle")]] * 3
    assert world.state.riders[RIDER].moved_to == ""
    assert world.state.riders[RIDER].order_ids == ("a",)


def test_who_was_never_on_shift_may_go_too() -> None:
    """The old home remembers it, so that the handover can be seen to be granted."""
    world = SmallWorld()
    world.tick(0, moved_out(0))
    assert world.state.riders[RIDER].moved_to == "milano"


def test_coming_home_and_coming_on_shift_end_it() -> None:
    """Either says that the rider belongs here again."""
    for back in (RiderMovedIn(2 * MINUTE_MS, RIDER), SmallWorld().rider(1)):
        world = SmallWorld()
        world.tick(0, world.rider(1))
        world.tick(1, moved_out(1))
        world.tick(2, back)
        assert world.state.riders[RIDER].moved_to == ""
