"""gRPC of the borders: translates, calls the store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersServicer
from shard_router.cities.adapters.postgres import BorderQuery, PostgresBorders
from shard_router.cities.borders import Border
from shard_router.cities.document import parse_document

SERVICE = "shard_router.v1.CityBorders"


class BordersApi(CityBordersServicer):
    """The versions of all borders."""

    def __init__(self, borders: PostgresBorders) -> None:
        self._borders = borders

    async def GetBorders(self, request: pb.GetBordersRequest, context: Any) -> pb.GetBordersResponse:  # noqa: N802
        wanted = BorderQuery(request.after_version, request.city, request.newest_only, request.without_features)
        page = await self._borders.page(wanted)
        return pb.GetBordersResponse(borders=map(_message, page.borders), more=page.more)

    async def PublishBorder(  # noqa: N802
        self, request: pb.PublishBorderRequest, context: Any
    ) -> pb.PublishBorderResponse:
        document = await asyncio.to_thread(parse_document, request.feature_json)
        version, change = await self._borders.publish(document, request.actor, dry_run=request.dry_run)
        return pb.PublishBorderResponse(
            version=version, cells=change.cells, won=change.won, lost=change.lost, warnings=change.warnings
        )


def _message(border: Border) -> pb.Border:
    return pb.Border(
        version=border.version,
        city=border.city,
        feature_json=json.dumps(border.feature) if border.feature else "",
        actor=border.actor,
        published_ms=border.published_ms,
    )
