"""A service follows the borders: loaded only when they were heard, page by page, and the last ones hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from node.errors import Retryable
from node.rpc import Server
from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersServicer, add_CityBordersServicer_to_server
from shard_router.cities.border_follower import BorderFollower
from shard_router.cities.catalogue import City, load_cities
from shard_router.cities.grpc_api import SERVICE
from shard_router.client import Directory

LOG = structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(50))


class Router(CityBordersServicer):
    """Answers one border a page, or is away."""

    def __init__(self) -> None:
        self.away = True
        self.features: list[dict[str, Any]] = []
        self.asked = asyncio.Event()

    async def GetBorders(self, request: pb.GetBordersRequest, context: object) -> pb.GetBordersResponse:  # noqa: N802
        self.asked.set()
        if self.away:
            raise Retryable("no database")
        later = list(enumerate(self.features, 1))[request.after_version :]
        page = [
            pb.Border(version=version, city=feature["properties"]["city"], feature_json=json.dumps(feature))
            for version, feature in later[:1]
        ]
        return pb.GetBordersResponse(borders=page, more=len(later) > 1)


@asynccontextmanager
async def followed(router: Router, heard: list[tuple[City, ...]]) -> AsyncIterator[BorderFollower]:
    """A follower of this router."""
    server = Server("127.0.0.1:0", [SERVICE], [lambda s: add_CityBordersServicer_to_server(router, s)])
    await server.start()
    address = f"127.0.0.1:{server.port}"
    directory = Directory(address, LOG)
    follower = BorderFollower(address, directory, heard.append, LOG)
    try:
        yield follower
    finally:
        await follower.close()
        await directory.close()
        await server.stop(0)


async def test_a_follower_is_loaded_once_it_has_heard_every_page() -> None:
    """Not while the router cannot tell; then with three borders of three pages, told in one piece."""
    router, heard = Router(), list[tuple[City, ...]]()  # type: ignore[abstract]
    router.features = [city.feature() for city in load_cities()[:3]]
    async with followed(router, heard) as follower:
        running = asyncio.create_task(follower.run())
        await router.asked.wait()
        assert not follower.loaded.is_set()
        router.away = False
        async with asyncio.timeout(20):
            await follower.loaded.wait()
        running.cancel()
        assert (len(heard), follower.version) == (1, 3)


async def test_what_is_no_border_leaves_the_last_ones() -> None:
    """A stored border that cannot be read, or one over a neighbour: nothing is told of it, and the follower lives."""
    router, heard = Router(), list[tuple[City, ...]]()  # type: ignore[abstract]
    router.away = False
    broken = load_cities()[0].feature() | {"geometry": {"type": "Point", "coordinates": [0, 0]}}
    router.features = [broken]
    async with followed(router, heard) as follower:
        running = asyncio.create_task(follower.run())
        await router.asked.wait()
        router.asked.clear()
        async with asyncio.timeout(20):
            await router.asked.wait()
        assert not running.done()
        assert (heard, follower.version, follower.loaded.is_set()) == ([], 0, False)
        router.features = [load_cities()[0].feature()]
        async with asyncio.timeout(20):
            await follower.loaded.wait()
        running.cancel()
        assert follower.version == 1
