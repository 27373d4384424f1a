"""Facts from the shards themselves: who owns what, and what each has applied."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from proto.dispatch.v1.dispatch_pb2 import CityCounters, WatchCityRequest
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.shard_router.v1 import shard_router_pb2 as router
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub

_TIMEOUT_S = 5.0
_DRAIN_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard, its cities and the epoch it holds each in."""

    shard: str
    cities: tuple[str, ...]
    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AppliedFixes:
    """Fixes the owners applied, and those that came too late to change anything (duplicates are among them)."""

    applied: int
    superseded: int

    @property
    def total(self) -> int:
        return self.applied + self.superseded


async def shard_rows(router_address: str) -> list[ShardRow]:
    """The living map."""
    answer = await _map(router_address)
    epochs = {city.city: city.epoch for city in answer.cities}
    return [
        ShardRow(shard.shard_id, tuple(sorted(shard.cities)), tuple(epochs[city] for city in sorted(shard.cities)))
        for shard in answer.shards
        if shard.alive
    ]


async def counters(router_address: str, cities: Sequence[str]) -> dict[str, CityCounters]:
    """The counters of each city as its owner has them now."""
    answer = await _map(router_address)
    addresses = {city.city: city.address for city in answer.cities if city.city in cities}
    return {city: await _counters(address, city) for city, address in addresses.items()}


async def applied_of(router_address: str, cities: Sequence[str], rows: int) -> AppliedFixes:
    """Fixes that the owners applied, as soon as they are `rows` in all, or after a while anyway."""
    deadline_s = asyncio.get_running_loop().time() + _DRAIN_WITHIN_S
    while True:
        found = (await counters(router_address, cities)).values()
        applied = AppliedFixes(sum(c.fixes_applied for c in found), sum(c.fixes_superseded for c in found))
        if applied.total >= rows or asyncio.get_running_loop().time() > deadline_s:
            return applied
        await asyncio.sleep(0.2)


async def _map(router_address: str) -> router.GetMapResponse:
    async with grpc.aio.insecure_channel(router_address) as channel:
        return await ShardRouterStub(channel).GetMap(router.GetMapRequest(), timeout=_TIMEOUT_S)


async def _counters(address: str, city: str) -> CityCounters:
    async with grpc.aio.insecure_channel(address) as channel:
        watch = DispatchStub(channel).WatchCity(WatchCityRequest(city=city, every_ms=1000), timeout=_TIMEOUT_S)
        async for answer in watch:
            return answer.counters
    raise ConnectionError(f"the owner of {city} at {address} said nothing of it")
