# ruff: noqa: N802 (names of RPCs)
"""`dispatch.v1.Trails`: translates, asks, maps errors."""

from __future__ import annotations

import re
from typing import Any

import grpc.aio

from dispatch.logs.value_checks import check_values
from dispatch.trails import metrics
from dispatch.trails.model import Whereabouts
from dispatch.trails.service import TrailService
from node.errors import Invalid
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import trails_pb2 as pb
from proto.dispatch.v1.trails_pb2_grpc import TrailsServicer

SERVICE = "dispatch.v1.Trails"
Context = grpc.aio.ServicerContext[Any, Any]
#: A city's name is a folder of the archive.
_CITY = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)


def check_question(request: Any) -> None:
    """Check the fields of a question. Raises `Invalid`."""
    check_values(request)
    if not _CITY.fullmatch(request.city):
        raise Invalid("city", "must be 1..64 characters of a-z, 0-9 and -", reason="BAD_CITY")


class TrailsApi(TrailsServicer):
    """Answers questions about trails."""

    def __init__(self, trails: TrailService) -> None:
        self._trails = trails

    async def Where(self, request: pb.WhereRequest, context: Context) -> pb.WhereResponse:
        metrics.QUESTIONS.labels("where").inc()
        found = await self._trails.where(request.city, request.rider_id, request.at_ms)
        return pb.WhereResponse(where=_whereabouts(found))

    async def Near(self, request: pb.NearRequest, context: Context) -> pb.NearResponse:
        metrics.QUESTIONS.labels("near").inc()
        at = (request.at.lat_e7, request.at.lng_e7)
        found = await self._trails.near(request.city, at, request.at_ms, request.radius_m, request.limit)
        riders = [pb.NearbyRider(where=_whereabouts(one.where), distance_m=one.distance_m) for one in found]
        return pb.NearResponse(riders=riders)

    async def Distance(self, request: pb.DistanceRequest, context: Context) -> pb.DistanceResponse:
        metrics.QUESTIONS.labels("distance").inc()
        driven = await self._trails.distance(request.city, request.rider_id, request.from_ms, request.to_ms)
        return pb.DistanceResponse(distance_m=driven.distance_m, heard_ms=driven.heard_ms)


def _whereabouts(found: Whereabouts) -> pb.Whereabouts:
    return pb.Whereabouts(
        rider_id=found.rider_id,
        at=LatLng(lat_e7=found.lat_e7, lng_e7=found.lng_e7),
        before_ms=found.before_ms,
        after_ms=found.after_ms,
        error_m=found.error_m,
    )
