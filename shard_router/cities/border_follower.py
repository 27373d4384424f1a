"""Keep a service's cities up to date with the published borders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import structlog

from node.retry import Policy, warned
from node.rpc import CALLER_OPTIONS
from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersStub
from shard_router.cities.borders import CHANNEL_OPTIONS, Border, overlaid, read_borders
from shard_router.cities.catalogue import City, load_cities
from shard_router.cities.document import BadCity
from shard_router.client import Directory

if TYPE_CHECKING:
    from proto.shard_router.v1.borders_pb2_grpc import CityBordersAsyncStub

#: Borders are asked for this often even if the map says nothing, wall seconds.
_LOOK_EVERY_S = 30.0
_AGAIN = Policy(0.5, 2.0, of=(grpc.aio.AioRpcError, BadCity, ValueError))


class BorderFollower:
    """Calls `changed` with all cities after each change of a border, for as long as `run` runs."""

    def __init__(
        self,
        router_address: str,
        directory: Directory,
        changed: Callable[[tuple[City, ...]], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._channel = grpc.aio.insecure_channel(router_address, options=(*CALLER_OPTIONS, *CHANNEL_OPTIONS))
        self._borders: CityBordersAsyncStub = CityBordersStub(self._channel)
        self._directory = directory
        self._changed = changed
        self._log = log
        self._cities = load_cities()
        #: Set once the borders have been heard; whoever answers by them is not ready before.
        self.loaded = asyncio.Event()
        #: The newest border that is known.
        self.version = 0

    async def run(self) -> None:
        """Follows until cancelled. While the router is away, or sends what is no border, the last borders hold."""
        while True:
            seen = self._directory.map.version
            await _AGAIN.until_done(self.read_new, self._not_heard)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._directory.changed(seen)

    async def read_new(self) -> None:
        """Read the borders newer than those known. Raises `AioRpcError`, `BadCity` or `ValueError`."""
        borders = await read_borders(self._borders, pb.GetBordersRequest(after_version=self.version, newest_only=True))
        if borders:
            cities = await asyncio.to_thread(_compiled, self._cities, borders)
            self._changed(cities)
            self._cities, self.version = cities, borders[-1].version
            self._log.info("borders changed", cities=sorted({border.city for border in borders}), version=self.version)
        self.loaded.set()

    def _not_heard(self, error: BaseException, pause_s: float) -> None:
        kept = "the last ones hold" if self.loaded.is_set() else "this service is not ready without them"
        warned(self._log, f"borders not heard; {kept}")(error, pause_s)

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._channel.close()


def _compiled(cities: Sequence[City], borders: Sequence[Border]) -> tuple[City, ...]:
    """Compute the cells of cities whose border changed. In a thread: that takes a moment."""
    after = overlaid(cities, borders)
    for city in after:
        len(city.cells)
    return after
