"""Follows the cities while they run: the counters of each, as its owner tells them, and what has been delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import grpc.aio

from node.errors import FornoError, Retryable
from proto.dispatch.v1.dispatch_pb2 import WatchCityRequest, WatchCityResponse
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from shard_router.client import Directory
from simulator.demo.facts.database import delivered_by_city

_EVERY_MS = 1000
_PAUSE_S = 0.5
_COUNT_EVERY_S = 1.0


class Monitor:
    """The last word of each city's owner; a city that moves is followed."""

    def __init__(self, directory: Directory, cities: Sequence[str], core_url: str) -> None:
        self._directory = directory
        self._core_url = core_url
        self._cities = tuple(cities)
        self.last: dict[str, WatchCityResponse] = {}
        #: By city. An owner counts from when it took the city, so this comes from the database.
        self.delivered: Mapping[str, int] = {}

    async def run(self) -> None:
        """Follows until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._count())
            for city in self._cities:
                group.create_task(self._follow(city))

    async def _follow(self, city: str) -> None:
        while True:
            with suppress(grpc.aio.AioRpcError, FornoError):
                stub = DispatchStub(self._directory.channel(city))
                async for answer in stub.WatchCity(WatchCityRequest(city=city, every_ms=_EVERY_MS)):
                    self.last[city] = answer
            await asyncio.sleep(_PAUSE_S)

    async def _count(self) -> None:
        while True:
            # A server that restarts is asked again: until then the last count stands.
            with suppress(Retryable):
                self.delivered = await delivered_by_city(self._core_url)
            await asyncio.sleep(_COUNT_EVERY_S)
