"""Cities, their partitions and their owners' offers, found through the shard router's directory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from node.errors import FornoError
from node.rpc import fault_of
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.client import Directory
from tracking.errors import OwnerAway
from tracking.model import CityTasks, Offer, OpenOffers, RiderId, Route, Tasks

if TYPE_CHECKING:  # exists in the stubs' .pyi only
    from proto.dispatch.v1.dispatch_pb2_grpc import DispatchAsyncStub

T = TypeVar("T")

#: Deadline of a question to an owner, wall seconds; `TaskSync` asks again.
ANSWER_S = 2.0


class RouterPartitions:
    """`ports.Partitions` by the directory's map."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def partition(self, city: str) -> int:
        return self._directory.entry(city).partition


class OwnerOffers:
    """`ports.OfferSource` by calls to the city's owner."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def open_offers(self, city: str) -> OpenOffers:
        request = pb.OpenOffersRequest(city=city)
        answer: pb.OpenOffersResponse = await self._ask(city, lambda shard: shard.OpenOffers(request, timeout=ANSWER_S))
        return OpenOffers(answer.epoch, tuple((RiderId(one.rider_id), _offer(one.offer)) for one in answer.offers))

    async def tasks(self, city: str, riders: Sequence[RiderId]) -> CityTasks:
        request = pb.RiderTasksRequest(city=city, rider_ids=riders)
        answer: pb.RiderTasksResponse = await self._ask(city, lambda shard: shard.RiderTasks(request, timeout=ANSWER_S))
        return CityTasks(answer.epoch, {RiderId(one.rider_id): _tasks(one) for one in answer.tasks})

    async def _ask(self, city: str, call: Callable[[DispatchAsyncStub], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                return await self._directory.ask(city, call)
        except grpc.aio.AioRpcError as error:
            raise OwnerAway(f"{city}: {fault_of(error).reason}: {error.details()}") from error
        except (FornoError, TimeoutError) as error:
            raise OwnerAway(f"{city}: {error!r}") from error


def _offer(offer: link.Offer) -> Offer:
    return Offer(offer.offer_id, offer.expires_ms, offer.SerializeToString())


def _tasks(tasks: pb.RiderTasks) -> Tasks:
    route = Route(tasks.route.version, tasks.route.SerializeToString()) if tasks.HasField("route") else None
    offers = tuple(_offer(offer) for offer in tasks.offers)
    return Tasks(offers, route, under_way=bool(tasks.route.stops), moved_to=tasks.moved_to)
