"""MongoDB: last positions with a 2dsphere index, and trails as packed rider-minutes. Keys begin with the city.

    rider_last    _id "<city>/<rider>"            loc (GeoJSON point), ts_ms, session, seq, epoch, wall (for its TTL)
    rider_trail   _id "<city>/<rider>/<minute>"   version, n, loc (its middle), reach_m, columns (packed), wall
    trail_cuts    _id "<city>"                    how far the trails go

Only what a server of MongoDB's protocol surely has is used: unordered bulk upserts by _id, and finds by _id or
a range of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo import GEOSPHERE, AsyncMongoClient, IndexModel, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from dispatch.index import FixColumns
from dispatch.live.cut import Cut
from dispatch.live.trail import TrailKey, chunks, middle, packed, unpacked
from node.errors import Retryable

DATABASE = "forno"
#: Documents a round trip: encoding them is the event loop's time.
_BATCH = 200
_DUPLICATE = 11000
#: So often a batch of trails is merged anew because another writer was first.
_TRIES = 5
#: A last position that nobody updated disappears after this long, wall seconds.
_LAST_TTL_S = 24 * 3600

Document = dict[str, Any]


def connect(url: str) -> AsyncMongoClient[Document]:
    """A client that gives up soon rather than keep a view waiting."""
    return AsyncMongoClient(url, serverSelectionTimeoutMS=2000, socketTimeoutMS=20_000, connectTimeoutMS=2000)


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    try:
        yield
    except (PyMongoError, OSError) as error:
        raise Retryable(f"mongo: {error!r}", reason="MONGO_AWAY") from error


class MongoLastView:
    """`PositionsView` as one document a rider."""

    def __init__(self, client: AsyncMongoClient[Document], database: str = DATABASE) -> None:
        self._last = client[database]["rider_last"]
        self._indexed = False

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        rows = zip(
            fixes.rider_id.tolist(),
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
            for rider, session, seq, ts_ms, lat, lng in rows
        ]
        async with _errors():
            await self._index()
            for at in range(0, len(writes), _BATCH):
                await _bulk(self._last, writes[at : at + _BATCH])

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        async with _errors():
            for at in range(0, len(rider_ids), _BATCH):
                ids = [f"{city}/{rider}" for rider in rider_ids[at : at + _BATCH]]
                await self._last.delete_many({"_id": {"$in": ids}, "epoch": {"$lte": epoch}})

    async def riders(self, city: str) -> list[int]:
        async with _errors():
            ids = {"$gt": f"{city}/", "$lt": f"{city}{chr(ord('/') + 1)}"}
            return [int(d["rider_id"]) async for d in self._last.find({"_id": ids}, {"rider_id": 1})]

    async def _index(self) -> None:
        if not self._indexed:
            near = IndexModel([("city", 1), ("loc", GEOSPHERE)], name="near")
            await _ensure(self._last, near, _expiry(_LAST_TTL_S))
            self._indexed = True


class MongoTrailStore:
    """`TrailStore` as one document a rider and minute."""

    def __init__(self, client: AsyncMongoClient[Document], ttl_h: int, database: str = DATABASE) -> None:
        self._trail = client[database]["rider_trail"]
        self._cuts = client[database]["trail_cuts"]
        self._ttl_s = ttl_h * 3600
        self._indexed = False

    async def position(self, city: str) -> Cut | None:
        async with _errors():
            found = await self._cuts.find_one({"_id": city})
        if found is None:
            return None
        return Cut(found["incarnation"], found["partition"], found["pings_offset"], found["events_offset"])

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        found = await asyncio.to_thread(lambda: list(chunks(fixes)))
        async with _errors():
            await self._index()
            for at in range(0, len(found), _BATCH):
                await self._write(city, dict(found[at : at + _BATCH]))

    async def _write(self, city: str, fresh: Mapping[TrailKey, FixColumns]) -> None:
        ids = [_trail_id(city, key) for key in fresh]
        for _ in range(_TRIES):
            stored = [d async for d in self._trail.find({"_id": {"$in": ids}})]
            if not await _bulk(self._trail, await asyncio.to_thread(_trail_writes, city, fresh, stored)):
                return
        raise Retryable("another writer of these trails is always first", reason="TRAILS_CONTENDED")

    async def advance(self, city: str, epoch: int, cut: Cut) -> None:
        document = {
            "incarnation": cut.incarnation,
            "partition": cut.partition,
            "pings_offset": cut.pings_offset,
            "events_offset": cut.events_offset,
            "epoch": epoch,
        }
        async with _errors():
            try:
                await self._cuts.update_one({"_id": city, "epoch": {"$lte": epoch}}, {"$set": document}, upsert=True)
            except DuplicateKeyError:  # a newer owner keeps the trails by now
                return

    async def trail(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> FixColumns | None:
        """A rider's fixes between two domain times, sorted by (session, seq); None when there are none."""
        minutes = range(from_ms // 60_000, to_ms // 60_000 + 1)
        ids = [_trail_id(city, TrailKey(rider_id, minute)) for minute in minutes]
        async with _errors():
            found = [d async for d in self._trail.find({"_id": {"$in": ids}})]
        if not found:
            return None
        fixes = unpacked([(rider_id, d["columns"]) for d in found])
        whole = FixColumns.concat([chunk for _, chunk in chunks(fixes)])
        return whole.take((whole.ts_ms >= from_ms) & (whole.ts_ms <= to_ms))

    async def _index(self) -> None:
        if not self._indexed:
            rider = IndexModel([("city", 1), ("rider_id", 1), ("minute", 1)], name="rider")
            near = IndexModel([("city", 1), ("loc", GEOSPHERE)], name="near")
            await _ensure(self._trail, rider, near, _expiry(self._ttl_s))
            self._indexed = True


def _expiry(ttl_s: int) -> IndexModel:
    return IndexModel("wall", name="expiry", expireAfterSeconds=ttl_s)


async def _ensure(collection: Any, *indexes: IndexModel) -> None:
    """Creates those that are missing. (The embedded server refuses to create a geo index that is there already.)"""
    known = await collection.index_information()
    for index in indexes:
        if index.document["name"] not in known:
            await collection.create_indexes([index])


def _trail_id(city: str, key: TrailKey) -> str:
    return f"{city}/{key.rider_id}/{key.minute}"


def _trail_writes(
    city: str, fresh: Mapping[TrailKey, FixColumns], stored: Sequence[Document]
) -> list[ReplaceOne[Document]]:
    """The documents of these minutes, with what was stored before; what was stored stays where both have a fix.

    Each replaces the version that was read and no other: an upsert whose filter fails on the version tries to insert
    and meets the id. So two writers, one of them a former owner, never erase each other's fixes.
    """
    columns = [(int(d["rider_id"]), d["columns"]) for d in stored]
    versions = {d["_id"]: d.get("version") for d in stored}
    whole = FixColumns.concat([*([unpacked(columns)] if columns else []), *fresh.values()])
    now = datetime.now(UTC)
    writes = []
    for key, fixes in chunks(whole):
        name = _trail_id(city, key)
        version = versions.get(name, 0)
        document = {**_trail_document(city, key, fixes, now), "version": (version or 0) + 1}
        writes.append(ReplaceOne({"_id": name, "version": version}, document, upsert=True))
    return writes


def _trail_document(city: str, key: TrailKey, fixes: FixColumns, now: datetime) -> Document:
    lng, lat, reach_m = middle(fixes)
    return {
        "city": city,
        "rider_id": str(key.rider_id),
        "minute": key.minute,
        "n": len(fixes),
        "loc": {"type": "Point", "coordinates": [lng, lat]},
        "reach_m": reach_m,
        "columns": packed(fixes),
        "wall": now,
    }


async def _bulk(collection: Any, writes: Sequence[Any]) -> int:
    """How many of the writes were refused, because their filter no longer met the document of their id."""
    try:
        await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        refused = (error.details or {}).get("writeErrors", [])
        if any(e.get("code") != _DUPLICATE for e in refused):
            raise
        return len(refused)
    return 0
