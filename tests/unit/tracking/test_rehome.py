"""A rider's new home: granted by the old one first, told to both, begun anew whenever it broke off."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Invalid
from tests.unit.tracking.worlds import CITIES, NOW_MS, EdgeWorld
from tracking.engine import rehome
from tracking.errors import HandoverPending, NotIdle, OwnerAway
from tracking.model import Offer, RiderEvent, RiderId, RiderRehomed, Tasks

OLD, NEW = "la-serena", "coquimbo"
ANA = RiderId(7)


def told(world: EdgeWorld, city: str) -> list[RiderEvent]:
    """Messages in the log of a city."""
    return world.event_log.events.get(CITIES[city], [])


async def granting(world: EdgeWorld, answer: Tasks) -> None:
    """The old owner: hears the event, and answers from then on."""
    while not told(world, OLD):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    world.offers.tasks_of[ANA] = answer


async def test_both_cities_hear_of_it_the_old_one_first() -> None:
    """The new home is told only after the old one has let the rider go."""
    world = EdgeWorld()
    moving = asyncio.create_task(world.edge.rehoming.move(ANA, OLD, NEW, 3))
    while not told(world, OLD):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    assert told(world, NEW) == []
    world.offers.tasks_of[ANA] = Tasks(moved_to=NEW)
    await moving
    for city in (OLD, NEW):
        (event,) = told(world, city)
        assert (event.city, event.rider_id) == (city, ANA)
        assert isinstance(event.body, RiderRehomed)
        assert (event.body.from_city, event.body.to_city) == (OLD, NEW)


@pytest.mark.parametrize("busy", [Tasks(under_way=True), Tasks((Offer("o", 1, b""),))], ids=["a route", "an offer"])
async def test_who_has_something_to_do_stays(busy: Tasks) -> None:
    """Refused at once, and refused when the work came between the question and the event."""
    world = EdgeWorld()
    world.offers.tasks_of[ANA] = busy
    with pytest.raises(NotIdle):
        await world.edge.rehoming.move(ANA, OLD, NEW, 3)
    assert told(world, OLD) == []
    world.offers.tasks_of.clear()
    answering = asyncio.create_task(granting(world, busy))
    with pytest.raises(NotIdle):
        await world.edge.rehoming.move(ANA, OLD, NEW, 3)
    await answering
    assert told(world, NEW) == []


async def test_an_old_home_that_does_not_answer_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not granted in time, or away: retryable, and the next try is another event."""
    monkeypatch.setattr(rehome, "GRANTED_WITHIN_S", 0.0)
    world = EdgeWorld()
    with pytest.raises(HandoverPending):
        await world.edge.rehoming.move(ANA, OLD, NEW, 3)
    world.offers.away = True
    with pytest.raises(OwnerAway):
        await world.edge.rehoming.move(ANA, OLD, NEW, 3)
    world.offers.away = False
    world.clock.advance(1)
    world.offers.tasks_of[ANA] = Tasks(moved_to=NEW)
    monkeypatch.setattr(rehome, "GRANTED_WITHIN_S", 5.0)
    await world.edge.rehoming.move(ANA, OLD, NEW, 3)
    assert len({event.event_id for event in told(world, OLD)}) == 2
    assert len(told(world, NEW)) == 1


async def test_an_unknown_home_is_named() -> None:
    """The city at fault is in the error, and nothing is written."""
    world = EdgeWorld()
    for cities in ((OLD, "atlantis"), ("atlantis", NEW)):
        with pytest.raises(Invalid, match="atlantis"):
            await world.edge.rehoming.move(ANA, *cities, 3)
    assert world.event_log.events == {}


async def test_crossing_a_border_changes_nothing() -> None:
    """A rider of one city who rides into another: its fixes go on into its home's log, in one session, unmarked."""
    world = EdgeWorld()
    ana = world.rider(7, OLD)
    for seq, lng_e7 in enumerate(
        (-712_900_000, -713_000_000, -713_100_000), 1
    ):  # over the line at -71.30, 1 km a minute
        world.send(ana, seq, lat_e7=-299_300_000, lng_e7=lng_e7, ts_ms=NOW_MS - 180_000 + 60_000 * seq)
    async with asyncio.timeout(5):
        while not ana.ledger.empty:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert set(world.fix_log.messages) == {CITIES[OLD]}
    assert world.logged() == [(7, ana.session, seq) for seq in (1, 2, 3)]
    assert [flag for _, fixes in world.fix_log.messages[CITIES[OLD]] for flag in fixes.flags.tolist()] == [0, 0, 0]
