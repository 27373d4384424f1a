"""Cities and estimates from the city map and the shards behind it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import grpc.aio
import structlog

from node.errors import FornoError
from orders.model import Basket, Position
from orders.ordering.ports import Eta, ServedCity
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1.dispatch_pb2 import EstimateRequest
from shard_router.client import Directory

#: A quote waits this long for dispatch, wall seconds; then it goes without an ETA.
ESTIMATE_TIMEOUT_S = 0.5


@dataclass(frozen=True, slots=True)
class MappedCities:
    """The cities on the map of the shard router."""

    directory: Directory

    def city(self, name: str) -> ServedCity:
        entry = self.directory.entry(name)
        return ServedCity(entry.city, entry.currency, Position(entry.center_lat_e7, entry.center_lng_e7))

    def partition(self, name: str) -> int:
        """The city's partition of city.events."""
        return self.directory.entry(name).partition

    def hour(self, name: str, at_ms: int) -> int:
        """The hour of the day in the city."""
        seconds, zone = at_ms / 1000, ZoneInfo(self.directory.entry(name).time_zone)
        return datetime.fromtimestamp(seconds, zone).hour


@dataclass(frozen=True, slots=True)
class ShardEstimates:
    """Asks the shard that owns the city."""

    directory: Directory
    log: structlog.stdlib.BoundLogger

    async def estimate(self, basket: Basket, ready_ms: int) -> Eta:
        request = EstimateRequest(
            city=basket.city,
            pickup=_lat_lng(basket.restaurant.at),
            dropoff=_lat_lng(basket.dropoff),
            ready_ms=ready_ms,
        )
        try:
            async with asyncio.timeout(ESTIMATE_TIMEOUT_S):
                answer = await self.directory.ask(basket.city, lambda shard: shard.Estimate(request))
        except (grpc.aio.AioRpcError, FornoError, TimeoutError) as error:
            self.log.warning("no estimate from dispatch", city=basket.city, error=repr(error))
            return Eta(0, 0)
        return Eta(answer.eta_ms, answer.eta_p90_ms)


def _lat_lng(at: Position) -> LatLng:
    return LatLng(lat_e7=at.lat_e7, lng_e7=at.lng_e7)
