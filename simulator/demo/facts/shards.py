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
from simulator.demo.facts.logs import LoggedFixes, newest_when_they_came

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
    """Fixes that changed a position, and those that came too late to change anything (duplicates are among them)."""

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


async def applied_of(router_address: str, cities: Sequence[str], logged: LoggedFixes) -> AppliedFixes:
    """What became of the rows of the log, as soon as the owners have counted them all, or after a while anyway.

    Each owner counts from where it began to read. What lies before, former owners took: of that the log itself says
    what was the newest of its rider, and the audit that they took it whole.
    """
    partitions = {city.city: city.partition for city in (await _map(router_address)).cities}
    deadline_s = asyncio.get_running_loop().time() + _DRAIN_WITHIN_S
    while True:
        found = await counters(router_address, cities)
        before = logged.before({partitions[city]: of.pings_began for city, of in found.items()})
        newest = newest_when_they_came(before)
        applied = AppliedFixes(
            newest + sum(of.fixes_applied for of in found.values()),
            len(before) - newest + sum(of.fixes_superseded for of in found.values()),
        )
        if applied.total >= len(logged.rows) or asyncio.get_running_loop().time() > deadline_s:
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
