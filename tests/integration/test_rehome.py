"""A rider moves from one city to another through a real edge, a real shard and both cities' logs."""

from __future__ import annotations

import asyncio

import grpc.aio

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.topics import CITY_EVENTS
from tests.integration.tracking_world import CITY, LAT_E7, LNG_E7, process, read_all, tracking_world
from tests.shared_log import readable
from tracking.client import EdgeLink, RiderClient, RiderStatus

NEW = "coquimbo"


async def test_a_rider_moves_to_another_city(stack: LocalStack, fresh_database: str) -> None:
    """Online in the old home, then connected with the new home's token: both cities know, by an event in each log."""
    async with tracking_world(stack, fresh_database) as world:
        with Ports() as ports:
            address = f"127.0.0.1:{ports.take()}"
            env = {**world.env, "FORNO_SHARD_ID": "shard-1", "FORNO_TICK_PERIOD_MS": "200"}
            async with (
                process("dispatch.main", address, env),
                world.edge("edge-1"),
                EdgeLink(world.address) as link,
                grpc.aio.insecure_channel(address) as channel,
            ):
                dispatch = DispatchStub(channel)
                async with RiderClient(link, world.token(1), world.clock) as rider:
                    rider.status(RiderStatus.ONLINE, capacity=2, at=(LAT_E7, LNG_E7))
                    await rider.drain(30)
                await known(dispatch, CITY, world.first_rider + 1, moved_to="")
                moved = RiderClient(link, world.token(1, NEW), world.clock, last_city=CITY)
                async with moved:
                    moved.fix(LAT_E7, LNG_E7)
                    moved.status(RiderStatus.ONLINE, capacity=2)
                    await moved.drain(30)
                await known(dispatch, CITY, world.first_rider + 1, moved_to=NEW)
                await known(dispatch, NEW, world.first_rider + 1, moved_to="")
        values = await read_all(stack.env["FORNO_KAFKA_URL"], CITY_EVENTS.name)
        events = list(readable(CityEvent, values))
    rider_id = world.first_rider + 1
    assert {event.city for event in events if event.rider_rehomed.rider_id == rider_id} == {CITY, NEW}
    online = [event for event in events if event.rider_status.rider_id == rider_id]
    assert sorted(event.city for event in online) == sorted([CITY, NEW])


async def known(dispatch: DispatchStub, city: str, rider_id: int, moved_to: str) -> None:
    """Waits until the owner of a city says so."""
    request = pb.RiderTasksRequest(city=city, rider_ids=[rider_id])
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await dispatch.RiderTasks(request)  # type: ignore[misc]
            except grpc.aio.AioRpcError:  # it does not own the city yet
                await asyncio.sleep(0.1)
                continue
            if [task.moved_to for task in answer.tasks] == [moved_to]:
                return
            await asyncio.sleep(0.05)
