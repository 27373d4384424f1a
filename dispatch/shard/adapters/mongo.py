"""MongoDB: last positions with a 2dsphere index. Keys begin with the city; `trails.adapters.mongo` keeps the trails.

    rider_last    _id "<city>/<rider>"   status, loc (GeoJSON point), ts_ms, session, seq, epoch, wall (for its TTL)

Only what a server of MongoDB's protocol surely has is used: unordered bulk upserts by _id, and finds by _id or
a range of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pymongo import GEOSPHERE, AsyncMongoClient, IndexModel, UpdateOne

from node.mongo import BATCH, DATABASE, Document, bulk, ensure, errors, expiry
from proto.fix_columns import FixColumns

#: A last position that nobody updated disappears after this long, wall seconds.
_LAST_TTL_S = 24 * 3600


class MongoLastView:
    """`PositionsView` as one document a rider. `statuses` says what riders are doing, in their order."""

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        statuses: Callable[[Sequence[int]], Sequence[str]],
        database: str = DATABASE,
    ) -> None:
        self._last = client[database]["rider_last"]
        self._statuses = statuses
        self._indexed = False

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        riders = fixes.rider_id.tolist()
        rows = zip(
            riders,
            self._statuses(riders),
            fixes.session.tolist(),
            fixes.seq.tolist(),
            fixes.ts_ms.tolist(),
            (fixes.lat_e7 * 1e-7).tolist(),
            (fixes.lng_e7 * 1e-7).tolist(),
            strict=True,
        )
        now = datetime.now(UTC)
        # An upsert whose filter fails on the epoch tries to insert and meets the newer owner's id: it is refused.
        writes = [
            UpdateOne(
                {"_id": f"{city}/{rider}", "epoch": {"$lte": epoch}},
                {
                    "$set": {
                        "city": city,
                        "rider_id": str(rider),
                        "status": status,
                        "loc": {"type": "Point", "coordinates": [lng, lat]},
                        "ts_ms": ts_ms,
                        "session": str(session),
                        "seq": str(seq),
                        "epoch": epoch,
                        "wall": now,
                    }
                },
                upsert=True,
            )
            for rider, status, session, seq, ts_ms, lat, lng in rows
        ]
        async with errors():
            await self._index()
            for at in range(0, len(writes), BATCH):
                await bulk(self._last, writes[at : at + BATCH])
        return True  # MongoDB keeps what it has

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        async with errors():
            for at in range(0, len(rider_ids), BATCH):
                ids = [f"{city}/{rider}" for rider in rider_ids[at : at + BATCH]]
                await self._last.delete_many({"_id": {"$in": ids}, "epoch": {"$lte": epoch}})

    async def riders(self, city: str) -> list[int]:
        async with errors():
            ids = {"$gt": f"{city}/", "$lt": f"{city}{chr(ord('/') + 1)}"}
            return [int(d["rider_id"]) async for d in self._last.find({"_id": ids}, {"rider_id": 1})]

    async def _index(self) -> None:
        if not self._indexed:
            near = IndexModel([("city", 1), ("loc", GEOSPHERE)], name="near")
            status = IndexModel([("rider_id", 1), ("status", 1)], name="rider_status")
            await ensure(self._last, near, status, expiry("wall", _LAST_TTL_S))
            self._indexed = True
