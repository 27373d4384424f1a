"""Orders and dispatch over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from gateway.live.adapters import city_frame, decode
from gateway.live.model import City, CityFrame, OrderFacts, OrderId, Track
from node.errors import NotFound, Retryable
from node.rpc import fault_of
from proto.dispatch.v1 import dispatch_pb2
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.orders.v1 import orders_pb2
from proto.orders.v1.orders_pb2_grpc import OrdersStub
from shard_router.client import Directory

#: Wall seconds a question may take.
DEADLINE_S = 3.0
#: Wall milliseconds between two whole frames of a city.
FRAME_EVERY_MS = 1000
#: A stream that says nothing for so long is opened anew: its shard may be frozen, and the city elsewhere. Wall seconds.
SILENCE_S = 4.0

_NO_SUCH = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


class ServiceOrders:
    """`OrderSource` on the orders service and the owners of the cities."""

    def __init__(self, channel: grpc.aio.Channel, directory: Directory) -> None:
        self._orders = OrdersStub(channel)
        self._directory = directory

    async def facts(self, order_id: OrderId) -> OrderFacts:
        try:
            answer = await self._orders.Get(orders_pb2.GetRequest(order_id=order_id), timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NO_SUCH:
                raise NotFound(f"there is no order {order_id}") from None
            raise _away(error) from error
        return decode.order_facts(answer.order)

    async def track(self, city: City, order_id: OrderId, after_seq: int) -> Track | None:
        request = dispatch_pb2.TrackRequest(city=city, order_id=order_id, after_seq=after_seq)
        try:
            answer = await self._directory.ask(city, lambda shard: shard.Track(request, timeout=DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            if error.code() in _NO_SUCH:
                return None
            raise _away(error) from error
        return decode.track(answer)


class ServiceStreams:
    """`CityStreams` on the owners of the cities."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def watch(self, city: City) -> AsyncIterator[CityFrame]:
        request = dispatch_pb2.WatchCityRequest(city=city, every_ms=FRAME_EVERY_MS)
        call = DispatchStub(self._directory.channel(city)).WatchCity(request)
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    message = await call.read()
                if not isinstance(message, dispatch_pb2.WatchCityResponse):
                    return
                yield city_frame.encoded(message)
        except TimeoutError:
            raise Retryable("the owner fell silent", reason="SILENT") from None
        except grpc.aio.AioRpcError as error:
            raise _away(error) from error
        except asyncio.CancelledError:
            # The directory closed the channel, because the shard left the map; or somebody really wants us to end.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Retryable("the shard left the map", reason="NO_OWNER") from None
        finally:
            call.cancel()


def _away(error: grpc.aio.AioRpcError) -> Retryable:
    return Retryable(f"no answer: {error.details()}", reason=fault_of(error).reason)
