"""Find the shard that owns a city, and call it.

    directory = Directory(settings.router_address, log)
    await directory.start()
    node.start("directory", directory.run())
    answer = await directory.ask("la-serena", lambda shard: shard.Track(request))

The directory follows the map by one stream and keeps the last one while the router is away: finding an owner never
waits for the router after the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import grpc
import grpc.aio
import structlog

from node.errors import Retryable
from node.retry import Policy, warned
from node.rpc import CALLER_OPTIONS, fault_of
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub
from shard_router.errors import NoOwner, UnknownCity
from shard_router.topology import CityEntry, CityMap
from shard_router.wire import map_value

if TYPE_CHECKING:
    from proto.dispatch.v1.dispatch_pb2_grpc import DispatchAsyncStub

T = TypeVar("T")

#: How long `ask` waits for news of a city that moved before it gives up, wall seconds.
MOVED_WAIT_S = 4.0
_FIRST_MAP_S = 15.0
_AGAIN = Policy(0.5, 1.0, of=(grpc.aio.AioRpcError,))
#: A map of 20,000 cities is some 4 MB; gRPC alone would take 4 MiB.
CHANNEL_OPTIONS = (*CALLER_OPTIONS, ("grpc.keepalive_time_ms", 20_000), ("grpc.max_receive_message_length", 1 << 24))


class Directory:
    """The map, kept fresh, and channels to the shards on it."""

    def __init__(self, router_address: str, log: structlog.stdlib.BoundLogger) -> None:
        self._channel = grpc.aio.insecure_channel(router_address, options=CHANNEL_OPTIONS)
        self._router = ShardRouterStub(self._channel)
        self._log = log
        self._map = CityMap(0, {}, {})
        self._news = asyncio.Condition()
        self._shards: dict[str, grpc.aio.Channel] = {}

    @property
    def map(self) -> CityMap:
        """The last map heard of."""
        return self._map

    async def start(self) -> None:
        """Fetches the first map. Raises `Retryable` when the router does not answer in time."""
        try:
            answer = await self._router.GetMap(pb.GetMapRequest(), timeout=_FIRST_MAP_S, wait_for_ready=True)
        except grpc.aio.AioRpcError as error:
            raise Retryable(f"the shard router does not answer: {error.details()}", reason="ROUTER_AWAY") from error
        await self._heard(answer)

    async def run(self) -> None:
        """Follows the map until cancelled."""
        await _AGAIN.forever(self._watch, warned(self._log, "lost the shard router; going on with the last map"))

    async def _watch(self) -> None:
        async for answer in self._router.WatchMap(pb.WatchMapRequest(), wait_for_ready=True):
            await self._heard(answer.map)

    async def close(self) -> None:
        """Closes all channels."""
        for channel in (self._channel, *self._shards.values()):
            await channel.close()

    def entry(self, city: str) -> CityEntry:
        """The city's entry. Raises `UnknownCity`."""
        try:
            return self._map.cities[city]
        except KeyError:
            raise UnknownCity(city) from None

    def channel(self, city: str) -> grpc.aio.Channel:
        """A channel to the city's owner. Raises `UnknownCity` or `NoOwner`."""
        address = self.entry(city).address
        if not address:
            raise NoOwner(city)
        if address not in self._shards:
            self._shards[address] = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        return self._shards[address]

    async def changed(self, version: int) -> CityMap:
        """The first map of a greater version; rarely a change comes under one that was heard already (`CityMap`)."""
        async with self._news:
            await self._news.wait_for(lambda: self._map.version > version)
            return self._map

    async def ask(self, city: str, call: Callable[[DispatchAsyncStub], Awaitable[T]]) -> T:
        """Calls the city's owner. When the city has moved, waits for the new owner and tries once more.

        A call that nobody answered in time is made again only if the city has another owner by then.

        Raises `UnknownCity`, `NoOwner`, or whatever else the call raises.
        """
        asked = self.entry(city)
        try:
            return await self._call(city, call)
        except NoOwner:
            pass
        except grpc.aio.AioRpcError as error:
            reason = fault_of(error).reason
            hung_and_moved = reason == "DEADLINE_EXCEEDED" and self.entry(city).epoch > asked.epoch
            if reason not in ("NOT_OWNER", "UNAVAILABLE") and not hung_and_moved:
                raise
        await self._wait_for_another_owner(asked)
        return await self._call(city, call)

    async def _call(self, city: str, call: Callable[[DispatchAsyncStub], Awaitable[T]]) -> T:
        try:
            return await call(DispatchStub(self.channel(city)))
        except asyncio.CancelledError:
            # gRPC cancels the calls of a channel that is closed, which `_heard` does when a shard leaves the map.
            # Passed on, that would quietly end the task that asked.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NoOwner(city) from None

    async def _wait_for_another_owner(self, asked: CityEntry) -> None:
        def moved() -> bool:
            entry = self._map.cities.get(asked.city)
            return entry is not None and bool(entry.address) and entry.epoch > asked.epoch

        with suppress(TimeoutError):
            async with asyncio.timeout(MOVED_WAIT_S), self._news:
                await self._news.wait_for(moved)

    async def _heard(self, answer: pb.GetMapResponse) -> None:
        async with self._news:
            self._map = map_value(answer)
            self._news.notify_all()
        # Not those of dead shards: one that is late with its lease comes back, and streams to it need not end for that.
        known = {entry.address for entry in self._map.shards.values()}
        for address in set(self._shards) - known:
            await self._shards.pop(address).close()
