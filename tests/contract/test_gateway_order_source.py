"""`OrderSource`: the promises of the port, in memory and on real gRPC servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio
import structlog

from gateway.live.adapters.memory import MemoryOrders
from gateway.live.adapters.services import ServiceOrders
from gateway.live.model import City, OrderFacts, OrderId, Place, StatusEvent, Track
from gateway.live.ports import OrderSource
from node.errors import NotFound, Retryable
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import dispatch_pb2
from proto.orders.v1 import orders_pb2
from shard_router.client import Directory
from tests.integration.gateway_world import CITY, services_at_hand

ORDER = OrderId("0198c0de-0000-7000-8000-000000000001")


@pytest_asyncio.fixture(params=["memory", "services"], loop_scope="session")
async def source(request: pytest.FixtureRequest) -> AsyncIterator[OrderSource]:
    """One order: accepted for orders; open, then assigned for dispatch."""
    if request.param == "memory":
        memory = MemoryOrders()
        memory.orders[ORDER] = facts()
        memory.tracks[ORDER] = Track("assigned", events(), 1, None, 500, 600, ())
        yield memory
        return
    async with services_at_hand() as (orders, dispatch, _, orders_address, router_address):
        orders.orders[ORDER] = order()
        dispatch.tracks[ORDER] = dispatch_pb2.TrackResponse(
            state=dispatch_pb2.ORDER_STATE_ASSIGNED,
            events=[
                dispatch_pb2.TrackEvent(seq=1, state=dispatch_pb2.ORDER_STATE_OPEN, at_ms=10),
                dispatch_pb2.TrackEvent(seq=2, state=dispatch_pb2.ORDER_STATE_ASSIGNED, at_ms=20),
            ],
            eta_ms=500,
            eta_p90_ms=600,
        )
        directory = Directory(router_address, structlog.get_logger())
        await directory.start()
        async with grpc.aio.insecure_channel(orders_address) as channel:
            yield ServiceOrders(channel, directory)
        await directory.close()


def events() -> tuple[StatusEvent, ...]:
    return (StatusEvent(1, "accepted", 10), StatusEvent(2, "assigned", 20))


def facts() -> OrderFacts:
    """The order as the orders service tells it."""
    return OrderFacts(
        ORDER, "ana", City(CITY), "accepted", (StatusEvent(0, "accepted", 5),), "Da Ana", Place(1, 2), Place(3, 4), 9, 0
    )


def order() -> orders_pb2.Order:
    """The same as the message it comes from."""
    at = orders_pb2.Restaurant(name="Da Ana", at=LatLng(lat_e7=1, lng_e7=2))
    return orders_pb2.Order(
        order_id=ORDER,
        user_id="ana",
        basket=orders_pb2.Basket(city=CITY, restaurant=at, dropoff=LatLng(lat_e7=3, lng_e7=4)),
        status=orders_pb2.ORDER_STATUS_ACCEPTED,
        history=[orders_pb2.StatusChange(status=orders_pb2.ORDER_STATUS_ACCEPTED, at_ms=5)],
        promised_ms=9,
    )


async def test_facts_are_told(source: OrderSource) -> None:
    """Every field of the order that live tracking uses."""
    assert await source.facts(ORDER) == facts()


async def test_an_unknown_order_is_not_found(source: OrderSource) -> None:
    """Orders is sure that there is none; dispatch may just not know it yet."""
    with pytest.raises(NotFound):
        await source.facts(OrderId("nobody"))
    assert await source.track(City(CITY), OrderId("nobody"), 0) is None


@pytest.mark.parametrize(("after_seq", "seqs"), [(0, [1, 2]), (1, [2]), (2, []), (99, [])])
async def test_events_come_after_the_number_asked_for(source: OrderSource, after_seq: int, seqs: list[int]) -> None:
    """The state is always the present one, the events only those not yet seen."""
    track = await source.track(City(CITY), ORDER, after_seq)
    assert track is not None
    assert [event.seq for event in track.events] == seqs
    assert (track.status, track.epoch, track.eta_ms, track.rider) == ("assigned", 1, 500, None)


async def test_a_service_that_is_away_is_retryable() -> None:
    """Nobody listens there: the caller is told to try again."""
    directory = Directory("127.0.0.1:1", structlog.get_logger())
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        with pytest.raises(Retryable):
            await ServiceOrders(channel, directory).facts(ORDER)
    await directory.close()
