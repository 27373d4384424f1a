"""gRPC of the shard router: the map as it stands, and again with each change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from node.errors import Retryable
from proto.common.v1.types_pb2 import LatLng
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterServicer
from shard_router.audit import CHECKS, Audit
from shard_router.ports import RouterStore
from shard_router.topology import CityEntry, CityMap, ShardEntry

#: The map is read this often when nothing tells of a change: notices dead shards, and lost notifications.
POLL_S = 0.5
#: A watcher hears at least this often, as a sign of life.
SIGN_OF_LIFE_S = 2.0


class MapFeed:
    """One reader of the map for all watchers."""

    def __init__(self, store: RouterStore, log: structlog.stdlib.BoundLogger) -> None:
        self._store = store
        self._log = log
        self._map: CityMap | None = None
        self._news = asyncio.Condition()
        self._poke = asyncio.Event()

    async def run(self) -> None:
        """Reads the map upon notification and every `POLL_S`, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                self._poke.clear()
                try:
                    fresh = await self._store.read_map()
                except Retryable as error:
                    self._log.warning("cannot read the map", error=str(error))
                else:
                    async with self._news:
                        self._map = fresh
                        self._news.notify_all()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._poke.wait()

    async def _listen(self) -> None:
        while True:
            with suppress(Retryable):
                async with self._store.changes() as names:
                    async for _ in names:
                        self._poke.set()
            await asyncio.sleep(POLL_S)

    async def maps(self) -> AsyncIterator[CityMap]:
        """The map now, after each change of a city or of a shard's life, and every `SIGN_OF_LIFE_S`."""
        loop = asyncio.get_running_loop()
        sent, said_s = None, 0.0
        while True:
            async with self._news:
                if self._map is None or _gist(self._map) == sent:
                    await self._news.wait()
                fresh = self._map
            if fresh is not None and (_gist(fresh) != sent or loop.time() - said_s >= SIGN_OF_LIFE_S):
                sent, said_s = _gist(fresh), loop.time()
                yield fresh


def _gist(map_: CityMap) -> tuple[object, ...]:
    """What a watcher must hear of at once; loads and ages can wait for the sign of life."""
    return (map_.version, *((s.shard_id, s.address, s.alive) for s in map_.shards.values()))


class ShardRouterApi(ShardRouterServicer):
    """Translates, calls the store, maps errors."""

    def __init__(self, store: RouterStore, feed: MapFeed, auditor: Callable[[], Awaitable[Audit]]) -> None:
        self._store = store
        self._auditor = auditor
        self._feed = feed

    async def GetMap(self, request: pb.GetMapRequest, context: Any) -> pb.GetMapResponse:  # noqa: N802
        return map_message(await self._store.read_map())

    async def WatchMap(self, request: pb.WatchMapRequest, context: Any) -> AsyncIterator[pb.WatchMapResponse]:  # noqa: N802
        async for map_ in self._feed.maps():
            yield pb.WatchMapResponse(map=map_message(map_))

    async def MoveCity(self, request: pb.MoveCityRequest, context: Any) -> pb.MoveCityResponse:  # noqa: N802
        entry = await self._store.request_move(request.city, request.to_shard, request.actor)
        return pb.MoveCityResponse(city=_city(entry))

    async def Audit(self, request: pb.AuditRequest, context: Any) -> pb.AuditResponse:  # noqa: N802
        done = await self._auditor()
        findings = [pb.AuditFinding(check=f.check, city=f.city, what=f.what) for f in done.findings]
        return pb.AuditResponse(checks=list(CHECKS), examined=done.examined, findings=findings, more=done.more)


def map_message(map_: CityMap) -> pb.GetMapResponse:
    """The map as it goes over the wire."""
    return pb.GetMapResponse(
        version=map_.version,
        cities=[_city(city) for city in map_.cities.values()],
        shards=[_shard(shard, map_) for shard in map_.shards.values()],
    )


def _city(entry: CityEntry) -> pb.City:
    return pb.City(
        city=entry.city,
        name=entry.name,
        partition=entry.partition,
        shard_id=entry.owner or "",
        address=entry.address,
        epoch=entry.epoch,
        moving_to=entry.moving_to or "",
        time_zone=entry.time_zone,
        currency=entry.currency,
        center=LatLng(lat_e7=entry.center_lat_e7, lng_e7=entry.center_lng_e7),
    )


def _shard(entry: ShardEntry, map_: CityMap) -> pb.Shard:
    return pb.Shard(
        shard_id=entry.shard_id,
        address=entry.address,
        alive=entry.alive,
        cities=[city.city for city in map_.owned_by(entry.shard_id)],
        heartbeat_age_ms=entry.heartbeat_age_ms,
        riders=entry.load.riders,
        open_orders=entry.load.open_orders,
        tick_p99_ms=entry.load.tick_p99_ms,
    )
