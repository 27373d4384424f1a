"""MongoDB: last positions with a 2dsphere index. Keys begin with the city; trails are in `mongo_trails`.

    rider_last    _id "<city>/<rider>"   status, loc (GeoJSON point), ts_ms, session, seq, epoch, wall (for its TTL)

Only what a server of MongoDB's protocol surely has is used: unordered bulk upserts by _id, and finds by _id or
a range of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo import GEOSPHERE, AsyncMongoClient, IndexModel, UpdateOne
from pymongo.errors import BulkWriteError, PyMongoError

from dispatch.index import FixColumns
from node.errors import Retryable

DATABASE = "forno"
#: Documents a round trip: encoding them is the event loop's time.
BATCH = 200
_DUPLICATE = 11000
#: A last position that nobody updated disappears after this long, wall seconds.
_LAST_TTL_S = 24 * 3600

Document = dict[str, Any]


def connect(url: str) -> AsyncMongoClient[Document]:
    """A client that gives up soon rather than keep a view waiting."""
    return AsyncMongoClient(url, serverSelectionTimeoutMS=2000, socketTimeoutMS=20_000, connectTimeoutMS=2000)


@asynccontextmanager
async def errors() -> AsyncIterator[None]:
    """What the driver raises, as `Retryable`."""
    try:
        yield
    except (PyMongoError, OSError) as error:
        raise Retryable(f"mongo: {error!r}", reason="MONGO_AWAY") from error


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


def expiry(of: str, ttl_s: int) -> IndexModel:
    """Documents disappear so long after a moment that they name."""
    return IndexModel(of, name=f"expiry_of_{of}", expireAfterSeconds=ttl_s)


async def ensure(collection: Any, *indexes: IndexModel) -> None:
    """Creates those that are missing. (The embedded server refuses to create a geo index that is there already.)"""
    known = await collection.index_information()
    for index in indexes:
        if index.document["name"] not in known:
            await collection.create_indexes([index])


async def bulk(collection: Any, writes: Sequence[Any]) -> int:
    """How many of the writes were refused, because their filter no longer met the document of their id."""
    try:
        await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        refused = (error.details or {}).get("writeErrors", [])
        if any(e.get("code") != _DUPLICATE for e in refused):
            raise
        return len(refused)
    return 0
