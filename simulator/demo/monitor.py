"""Follows the cities while they run: the counters of each, as its owner tells them every second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import grpc.aio

from node.errors import FornoError
from proto.dispatch.v1.dispatch_pb2 import WatchCityRequest, WatchCityResponse
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from shard_router.client import Directory

_EVERY_MS = 1000
_PAUSE_S = 0.5


class Monitor:
    """The last word of each city's owner; a city that moves is followed."""

    def __init__(self, directory: Directory, cities: Sequence[str]) -> None:
        self._directory = directory
        self._cities = tuple(cities)
        self.last: dict[str, WatchCityResponse] = {}

    async def run(self) -> None:
        """Follows until cancelled."""
        async with asyncio.TaskGroup() as group:
            for city in self._cities:
                group.create_task(self._follow(city))

    async def _follow(self, city: str) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError, FornoError):
                stub = DispatchStub(self._directory.channel(city))
                async for answer in stub.WatchCity(WatchCityRequest(city=city, every_ms=_EVERY_MS)):
                    self.last[city] = answer
            await asyncio.sleep(_PAUSE_S)
