"""MongoDB: trails as packed rider-minutes, written from the log.

    rider_trail   _id "<city>/<rider>/<minute>"   version, n, loc (its middle), reach_m, columns (packed), wall,
                                                  open (not archived as it is) or expires (for its TTL)
    trail_cuts    _id "<city>"                    how far the trails go

With an archive a minute is `open` until it is archived and verified, and only then given the time at which it expires:
the hot copy never goes before the cold one is there. Without an archive it expires so long after its last change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pymongo import GEOSPHERE, AsyncMongoClient, IndexModel, ReplaceOne, WriteConcern
from pymongo.errors import DuplicateKeyError

from dispatch.logs.cut import Cut
from dispatch.trails.minute_documents import TrailKey, chunks, middle, packed, unpacked
from node.errors import Retryable
from node.mongo import BATCH, DATABASE, Document, bulk, ensure, errors, expiry
from proto.fix_columns import FixColumns

#: So often a batch of trails is merged anew because another writer was first.
_TRIES = 5
INDEXES = (
    IndexModel([("city", 1), ("minute", 1), ("loc", GEOSPHERE)], name="near_then"),
    IndexModel([("city", 1), ("minute", 1), ("reach_m", -1)], name="reach"),
    IndexModel([("city", 1), ("open", 1), ("minute", 1)], name="open"),
    expiry("expires", 0),
)


class MongoTrailStore:
    """`TrailStore` as one document a rider and minute. `ttl_h` is None when an archive decides when they expire."""

    def __init__(self, client: AsyncMongoClient[Document], ttl_h: int | None, database: str = DATABASE) -> None:
        self._trail = client[database]["rider_trail"]
        # The journal has a cut before it counts; what was written before it is in the journal before it.
        self._cuts = client[database].get_collection("trail_cuts", write_concern=WriteConcern(w=1, j=True))
        self._ttl = None if ttl_h is None else timedelta(hours=ttl_h)
        self._indexed = False

    async def position(self, city: str) -> Cut | None:
        async with errors():
            found = await self._cuts.find_one({"_id": city})
        if found is None:
            return None
        return Cut(found["incarnation"], found["partition"], found["pings_offset"], found["events_offset"])

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        found = await asyncio.to_thread(lambda: list(chunks(fixes)))
        async with errors():
            await self._index()
            for at in range(0, len(found), BATCH):
                await self._write(city, dict(found[at : at + BATCH]))

    async def _write(self, city: str, fresh: Mapping[TrailKey, FixColumns]) -> None:
        ids = [trail_id(city, key) for key in fresh]
        for _ in range(_TRIES):
            stored = [d async for d in self._trail.find({"_id": {"$in": ids}})]
            if not await bulk(self._trail, await asyncio.to_thread(_trail_writes, city, fresh, stored, self._ttl)):
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
        async with errors():
            try:
                await self._cuts.update_one({"_id": city, "epoch": {"$lte": epoch}}, {"$set": document}, upsert=True)
            except DuplicateKeyError:  # a newer owner keeps the trails by now
                return

    async def _index(self) -> None:
        if not self._indexed:
            await ensure(self._trail, *INDEXES)
            self._indexed = True


def trail_id(city: str, key: TrailKey) -> str:
    return f"{city}/{key.rider_id}/{key.minute}"


def _trail_writes(
    city: str, fresh: Mapping[TrailKey, FixColumns], stored: Sequence[Document], ttl: timedelta | None
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
        name = trail_id(city, key)
        version = versions.get(name, 0)
        document = {**_trail_document(city, key, fixes, now, ttl), "version": (version or 0) + 1}
        writes.append(ReplaceOne({"_id": name, "version": version}, document, upsert=True))
    return writes


def _trail_document(city: str, key: TrailKey, fixes: FixColumns, now: datetime, ttl: timedelta | None) -> Document:
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
        **({"open": 1} if ttl is None else {"expires": now + ttl}),
    }
