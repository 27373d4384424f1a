"""A recording run again over a change of owner."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.codec import to_plain
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.recording.recording import Message, RecordedTick, Recording
from dispatch.recording.rerun import rerun
from dispatch.shard.adapters.memory import MemoryDecisionLog
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, MemoryCity
from tests.unit.dispatch.shard.worlds import DOWNTOWN


def recorded(log: MemoryDecisionLog) -> list[RecordedTick]:
    """The ticks as `forno log dump` reads them."""
    return [
        RecordedTick(
            tick.tick,
            tick.ownership.epoch,
            tick.basis.now_ms,
            tick.applied.cut.pings_offset,
            tick.applied.cut.events_offset,
            "p",
            tick.basis.travel_version,
            tick.basis.solver_fallback,
            tick.digests.problem,
            tick.digests.solution,
            tick.digests.decisions,
            tick.ignored,
            tick.digests.etas_and_tracks,
            tick.basis.eta_fallback,
            tick.basis.renewed,
            tick.basis.lesson,
            tick.quiet,
            owner_began=tick.applied.first.events_offset,
        )
        for tick in log.commits(CITY)
    ]


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
    first, second = world.decisions.commits(CITY)
    assert not second.changes.offers
    assert first.checkpoint is not None
    recording = Recording(
        CITY,
        world.log.incarnation,
        PARTITION,
        EngineParams().default_capacity,
        first.checkpoint.events_offset,
        {"p": to_plain(world.params)},
        first.checkpoint.body,
        recorded(world.decisions),
        [Message(offset, value) for offset, value in enumerate(world.log.pings.get(PARTITION, []))],
        [Message(offset, value) for offset, value in enumerate(world.log.events[PARTITION])],
    )
    assert [tick.differs for tick in rerun(recording, lambda _: FreeFlowTravel())] == ["", ""]
    unknown = replace(recording, ticks=[replace(tick, owner_began=None) for tick in recording.ticks])
    assert [tick.differs for tick in rerun(unknown, lambda _: FreeFlowTravel())] == ["", "problem"]
