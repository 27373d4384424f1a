"""A recording run again: over a change of owner, and past events that no tick took."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.recording.recording import Recording
from dispatch.recording.rerun import rerun
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.dispatch.recording.recorded_city import recording_of
from tests.unit.dispatch.shard.memory_city import CITY, MemoryCity
from tests.unit.dispatch.shard.picky_log import PickyLog, ticked
from tests.unit.dispatch.shard.worlds import DOWNTOWN


def differences(recording: Recording) -> list[str]:
    """The first part of each tick that came out otherwise."""
    return [tick.differs for tick in rerun(recording, lambda _: FreeFlowTravel())]


async def test_what_a_former_owner_took_unrecorded_is_not_given_to_the_next() -> None:
    """A rider says again where it comes on shift, in a tick that changes nothing; the owner ends before the next row.

    The new owner has never seen the rider. Run again with that event, it would ask it to carry the order.
    """
    world = MemoryCity()
    old = await world.owner()
    await world.status(1, link.RIDER_STATUS_ONLINE)
    await world.step(old)
    at = link.StatusUpdate(
        seq=99,
        status=link.RIDER_STATUS_ONLINE,
        ts_ms=world.clock.domain_ms(),
        capacity=2,
        at=LatLng(lat_e7=DOWNTOWN.lat_e7, lng_e7=DOWNTOWN.lng_e7),
    )
    await world.event(rider_status=city_event_pb2.RiderStatusChanged(rider_id=1, session=1, status=at))
    await world.step(old)
    await old.end()
    new = await world.owner(epoch=2)
    await world.open_order("o-1")
    await world.step(new)
    assert not world.decisions.commits(CITY)[1].changes.offers
    recording = recording_of(world)
    assert differences(recording) == ["", ""]
    unknown = replace(recording, ticks=[replace(tick, owner_began=None) for tick in recording.ticks])
    assert differences(unknown) == ["", "problem"]


async def test_an_owner_that_loads_the_city_again_begins_again() -> None:
    """In the same epoch, where the load before it ended, though its first tick takes no event."""
    world = MemoryCity()
    runner = await world.owner()
    await world.online({1: (0, 0)})
    await world.step(runner)
    for number in range(2):
        await runner.end()
        runner = await world.owner()
        await world.step(runner)
        await world.open_order(f"o-{number}")
        await world.step(runner)
    recording = recording_of(world)
    begun = [basis.owner_began for tick in recording.ticks for basis in (*tick.quiet, tick.basis)]
    assert [offset for offset in begun if offset is not None] == [0, 1, 2]
    assert set(differences(recording)) == {""}


async def test_an_event_that_was_set_aside_is_given_to_no_tick() -> None:
    """Only the database had refused it; run again with it, every tick from there on would differ."""
    world = MemoryCity(decisions=PickyLog("o-1"))
    runner = await world.owner()
    await world.online({1: (0, 0), 2: (5, 5)})
    for number in range(3):
        await world.open_order(f"o-{number}")
    await ticked(world, runner, 10)
    assert len(world.log.set_aside) == 1
    recording = recording_of(world)
    assert sum(len(tick.passed_over) for tick in recording.ticks) == 1
    assert set(differences(recording)) == {""}
    unknown = replace(recording, ticks=[replace(tick, passed_over=()) for tick in recording.ticks])
    assert any(differences(unknown))
