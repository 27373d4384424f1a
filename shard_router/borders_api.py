"""gRPC of the borders: translates, calls the store."""

from __future__ import annotations

import json
from typing import Any

from node.errors import Invalid
from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersServicer
from shard_router.adapters.postgres_borders import PostgresBorders

SERVICE = "shard_router.v1.CityBorders"


class BordersApi(CityBordersServicer):
    """The versions of all borders."""

    def __init__(self, borders: PostgresBorders) -> None:
        self._borders = borders

    async def GetBorders(self, request: pb.GetBordersRequest, context: Any) -> pb.GetBordersResponse:  # noqa: N802
        found = await self._borders.after(request.after_version)
        return pb.GetBordersResponse(
            borders=[
                pb.Border(
                    version=border.version,
                    city=border.city,
                    feature_json=json.dumps(border.feature),
                    actor=border.actor,
                    published_ms=border.published_ms,
                )
                for border in found
            ]
        )

    async def PublishBorder(  # noqa: N802
        self, request: pb.PublishBorderRequest, context: Any
    ) -> pb.PublishBorderResponse:
        try:
            feature = json.loads(request.feature_json)
        except ValueError as error:
            raise Invalid("feature_json", f"is no JSON: {error}") from error
        if not isinstance(feature, dict):
            raise Invalid("feature_json", "is no GeoJSON feature")
        version, change = await self._borders.publish(feature, request.actor, dry_run=request.dry_run)
        return pb.PublishBorderResponse(version=version, cells=change.cells, won=change.won, lost=change.lost)
