"""The Dispatch service over a city on memory adapters."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import structlog

from dispatch.borders.grpc_api import LentRiders
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.shard.errors import UnknownOrder
from dispatch.shard.grpc_api import DispatchApi
from dispatch.shard.runner import CityRunner
from dispatch.shard.shard import Shard
from node.errors import Invalid
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.client import Directory
from shard_router.errors import NotOwner
from shard_router.topology import Ownership
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, STEP_E7, MemoryCity
from tests.unit.dispatch.shard.worlds import DOWNTOWN, holding

#: Calls of these tests never touch it.
CONTEXT = cast(Any, None)
COUNTER = LatLng(lat_e7=DOWNTOWN.lat_e7, lng_e7=DOWNTOWN.lng_e7)
DOOR = LatLng(lat_e7=DOWNTOWN.lat_e7 + 10 * STEP_E7, lng_e7=DOWNTOWN.lng_e7)


class Answering:
    """A service over one city whose single order has been offered to rider 1."""

    def __init__(self, world: MemoryCity, shard: Shard, runner: CityRunner) -> None:
        self.world = world
        self.shard = shard
        self.runner = runner
        travel = FreeFlowTravel()
        lent = LentRiders(Directory("127.0.0.1:1", structlog.get_logger()))
        self.api = DispatchApi(shard, world.decisions, lambda _: travel, world.params, world.clock, lent)


@pytest.fixture
async def offered() -> Answering:
    """Rider 1 near, rider 2 far, order o-1 offered to rider 1."""
    world = MemoryCity()
    await world.online({1: (0, 1), 2: (0, 40)})
    await world.open_order("o-1")
    runner = await world.owner()
    shard = Shard("shard-1", runner.dependencies, holding(runner.city.ownership))
    shard._hosted[CITY] = runner
    await world.step(runner)
    return Answering(world, shard, runner)


async def test_open_offers_carry_stops_and_epoch(offered: Answering) -> None:
    """An offer names its rider, its stops in order, and when it lapses."""
    answer = await offered.api.OpenOffers(pb.OpenOffersRequest(city=CITY), CONTEXT)
    (one,) = answer.offers
    assert (one.rider_id, one.offer.epoch, list(one.offer.order_ids)) == (1, 1, ["o-1"])
    assert [stop.kind for stop in one.offer.stops] == [link.STOP_KIND_PICKUP, link.STOP_KIND_DROPOFF]
    assert one.offer.stops[0].ready_ms > 0
    assert one.offer.expires_ms > offered.world.clock.domain_ms()


async def test_tasks_of_a_rider(offered: Answering) -> None:
    """First the offer; once accepted, the route, with a version that grew."""
    request = pb.RiderTasksRequest(city=CITY, rider_ids=[1, 99])
    (before,) = (await offered.api.RiderTasks(request, CONTEXT)).tasks
    assert len(before.offers) == 1
    assert len(before.route.stops) == 0
    await offered.world.reply(offered.runner, accepted=True)
    await offered.world.step(offered.runner)
    (after,) = (await offered.api.RiderTasks(request, CONTEXT)).tasks
    assert len(after.offers) == 0
    assert len(after.route.stops) == 2
    assert after.route.version > before.route.version


async def test_a_track_shows_the_rider_once_it_has_one(offered: Answering) -> None:
    """Events after a sequence number; rider, position, ETA and own stops after acceptance only."""
    request = pb.TrackRequest(city=CITY, order_id="o-1")
    before = await offered.api.Track(request, CONTEXT)
    assert (before.state, before.rider_id, len(before.stops)) == (pb.ORDER_STATE_OFFERED, 0, 0)
    await offered.world.reply(offered.runner, accepted=True)
    await offered.world.step(offered.runner)
    request.after_seq = before.events[-1].seq
    after = await offered.api.Track(request, CONTEXT)
    assert [event.state for event in after.events] == [pb.ORDER_STATE_ASSIGNED]
    assert after.rider_id == 1
    assert after.rider_at.lat_e7 == DOWNTOWN.lat_e7
    assert after.eta_p90_ms > after.eta_ms > offered.world.clock.domain_ms()
    assert len(after.stops) == 2


async def test_an_order_nobody_knows(offered: Answering) -> None:
    """Track and Explain answer NOT_FOUND."""
    with pytest.raises(UnknownOrder):
        await offered.api.Track(pb.TrackRequest(city=CITY, order_id="o-99"), CONTEXT)
    with pytest.raises(UnknownOrder):
        await offered.api.Explain(pb.ExplainRequest(city=CITY, order_id="o-99"), CONTEXT)


async def test_explain_returns_the_records(offered: Answering) -> None:
    """One record an offer, with its outcome."""
    answer = await offered.api.Explain(pb.ExplainRequest(city=CITY, order_id="o-1"), CONTEXT)
    (document,) = answer.records_json
    assert '"outcome":"live"' in document


async def test_estimates_grow_with_the_kitchen(offered: Answering) -> None:
    """Food that is ready later comes later; p90 lies behind the median."""
    now_ms = offered.world.clock.domain_ms()
    asked = [pb.EstimateRequest(city=CITY, pickup=COUNTER, dropoff=DOOR, ready_ms=now_ms + ms) for ms in (0, 3_600_000)]
    soon, late = [await offered.api.Estimate(request, CONTEXT) for request in asked]
    assert now_ms < soon.eta_ms < soon.eta_p90_ms
    assert late.eta_ms > now_ms + 3_600_000
    assert soon.travel_s > 0
    assert soon.travel_model == FreeFlowTravel().version


async def test_nearest_riders_come_with_distance_and_age(offered: Answering) -> None:
    """Nearest first; a rider that went off shift is none."""
    request = pb.NearestRidersRequest(city=CITY, at=COUNTER, k=5)
    riders = (await offered.api.NearestRiders(request, CONTEXT)).riders
    assert [r.rider_id for r in riders] == [1, 2]
    assert 90 < riders[0].distance_m < 110
    assert riders[0].age_ms == 1000
    await offered.world.status(2, link.RIDER_STATUS_OFFLINE)
    await offered.world.step(offered.runner)
    assert [r.rider_id for r in (await offered.api.NearestRiders(request, CONTEXT)).riders] == [1]


@pytest.mark.parametrize(
    ("k", "lat_e7", "field"),
    [(0, 0, "k"), (101, 0, "k"), (5, 900_000_001, "at")],
    ids=["none", "too many", "beyond the pole"],
)
async def test_nearest_riders_refuses(offered: Answering, k: int, lat_e7: int, field: str) -> None:
    """The field at fault is named."""
    with pytest.raises(Invalid) as refused:
        await offered.api.NearestRiders(pb.NearestRidersRequest(city=CITY, at=LatLng(lat_e7=lat_e7), k=k), CONTEXT)
    assert refused.value.field == field


async def test_watching_a_city(offered: Answering) -> None:
    """Riders as columns with their states, orders, counters."""
    frame = await anext(offered.api.WatchCity(pb.WatchCityRequest(city=CITY, every_ms=100), CONTEXT))
    riders = dict(
        zip(
            np.frombuffer(frame.rider_id, "<u8").tolist(),
            np.frombuffer(frame.rider_state, "u1").tolist(),
            strict=True,
        )
    )
    assert riders == {1: pb.RIDER_ACTIVITY_OFFERED, 2: pb.RIDER_ACTIVITY_IDLE}
    assert [(o.order_id, o.state, o.rider_id) for o in frame.orders] == [("o-1", pb.ORDER_STATE_OFFERED, 1)]
    assert (frame.counters.riders_online, frame.counters.orders_open, frame.counters.offers_made) == (2, 1, 1)
    assert (frame.shard_id, frame.epoch, frame.tick) == ("shard-1", 1, 1)


async def test_a_city_of_another_is_not_spoken_for(offered: Answering) -> None:
    """Neither one that was never here, nor one whose lease ran out."""
    with pytest.raises(NotOwner):
        await offered.api.OpenOffers(pb.OpenOffersRequest(city="milano"), CONTEXT)
    offered.shard._slots.lease_until_s = 0.0
    with pytest.raises(NotOwner):
        await offered.api.Track(pb.TrackRequest(city=CITY, order_id="o-1"), CONTEXT)


async def test_a_shard_takes_and_drops(offered: Answering) -> None:
    """After a drop the city is not here; its cut is stored; dropping again does nothing."""
    runner = offered.runner
    shard = Shard("shard-1", runner.dependencies, holding(Ownership(CITY, PARTITION, 2)))
    await shard.take(Ownership(CITY, PARTITION, 2))
    assert shard.city(CITY).committed.tick == 1
    assert shard.load().open_orders == 1
    await shard.drop(CITY, 1, "another epoch")
    assert shard.runner(CITY) is not None
    await shard.drop(CITY, 2, "test")
    await shard.drop(CITY, 2, "test")
    assert shard.runner(CITY) is None
