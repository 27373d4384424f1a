"""MongoDB: questions about trails, and which hours of them are not archived. Everything asked is bounded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import AsyncMongoClient, UpdateMany

from dispatch.trails.adapters.mongo import trail_id
from dispatch.trails.errors import BadSpan, TooMany
from dispatch.trails.minute_documents import MINUTE_MS, TrailKey, chunks, unpacked
from dispatch.trails.model import HOUR_MS
from dispatch.trails.ports import HourPart
from node.geodesy import EARTH_RADIUS_M
from node.mongo import BATCH, DATABASE, Document, errors
from proto.fix_columns import FixColumns

#: A question about one rider spans no more, minutes: 1,560 documents.
_MAX_MINUTES = 26 * 60
#: A question about a place spans no more, minutes.
_MAX_AROUND_MINUTES = 10
_HOUR = HOUR_MS // MINUTE_MS


class MongoHotTrails:
    """`HotTrails`."""

    def __init__(self, client: AsyncMongoClient[Document], database: str = DATABASE) -> None:
        self._trail = client[database]["rider_trail"]

    async def of_rider(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> FixColumns:
        minutes = range(from_ms // MINUTE_MS, to_ms // MINUTE_MS + 1)
        if len(minutes) > _MAX_MINUTES:
            raise BadSpan("to_ms", f"at most {_MAX_MINUTES // 60} hours of a rider at once")
        ids = [trail_id(city, TrailKey(rider_id, minute)) for minute in minutes]
        return _within(await self._found(ids), from_ms, to_ms)

    async def around(
        self, city: str, at: tuple[int, int], radius_m: float, from_ms: int, to_ms: int, most: int
    ) -> FixColumns:
        minutes = list(range(from_ms // MINUTE_MS, to_ms // MINUTE_MS + 1))
        if len(minutes) > _MAX_AROUND_MINUTES:
            raise BadSpan("to_ms", f"at most {_MAX_AROUND_MINUTES} minutes of a place at once")
        async with errors():
            then = {"city": city, "minute": {"$in": minutes}}
            reach_m = 0.0
            for minute in minutes:
                longest = self._trail.find({"city": city, "minute": minute}, {"reach_m": 1}).sort("reach_m", -1)
                async for document in longest.limit(1):
                    reach_m = max(reach_m, float(document["reach_m"]))
            circle = [[at[1] * 1e-7, at[0] * 1e-7], (radius_m + reach_m) / EARTH_RADIUS_M]
            query = {**then, "loc": {"$geoWithin": {"$centerSphere": circle}}}
            near = [d["rider_id"] async for d in self._trail.find(query, {"rider_id": 1}).limit(most + 1)]
        if len(near) > most:
            raise TooMany(f"more than {most} rider-minutes lie near that place: ask for a smaller circle")
        # Who was near in one of the minutes is needed in all of them.
        keys = [TrailKey(int(rider), minute) for rider in sorted(set(near)) for minute in minutes]
        return _within(await self._found([trail_id(city, key) for key in keys]), from_ms, to_ms)

    async def _found(self, ids: Sequence[str]) -> FixColumns:
        parts = []
        for at in range(0, len(ids), BATCH):
            async with errors():
                found = [d async for d in self._trail.find({"_id": {"$in": ids[at : at + BATCH]}}, _COLUMNS)]
            if found:
                parts.append(unpacked([(int(d["rider_id"]), d["columns"]) for d in found]))
        return FixColumns.concat(parts) if parts else FixColumns.zeros(0)


_COLUMNS = {"rider_id": 1, "columns": 1, "version": 1}


class MongoOpenHours:
    """`OpenHours`."""

    def __init__(self, client: AsyncMongoClient[Document], database: str = DATABASE) -> None:
        self._trail = client[database]["rider_trail"]
        self._cuts = client[database]["trail_cuts"]

    async def cities(self) -> Sequence[str]:
        async with errors():
            return sorted([d["_id"] async for d in self._cuts.find({}, {"_id": 1})])

    async def next_open(self, city: str, from_hour: int) -> int | None:
        query = {"city": city, "open": 1, "minute": {"$gte": from_hour * _HOUR}}
        async with errors():
            async for document in self._trail.find(query, {"minute": 1}).sort("minute", 1).limit(1):
                return int(document["minute"]) // _HOUR
        return None

    async def riders(self, city: str, hour: int) -> Sequence[int]:
        found: set[str] = set()
        async with errors():
            for minute in range(hour * _HOUR, (hour + 1) * _HOUR):
                query = {"city": city, "minute": minute}
                found.update([d["rider_id"] async for d in self._trail.find(query, {"rider_id": 1})])
        return sorted(map(int, found))

    async def part(self, city: str, hour: int, rider_ids: Sequence[int]) -> HourPart:
        parts, seen = [], {}
        for rider in rider_ids:
            ids = [trail_id(city, TrailKey(rider, hour * _HOUR + minute)) for minute in range(_HOUR)]
            async with errors():
                found = [d async for d in self._trail.find({"_id": {"$in": ids}}, _COLUMNS)]
            seen.update({d["_id"]: int(d["version"]) for d in found})
            if found:
                parts.append(unpacked([(rider, d["columns"]) for d in found]))
        return HourPart(FixColumns.concat(parts) if parts else FixColumns.zeros(0), seen)

    async def archived(self, seen: Mapping[str, int], keep_h: int) -> int:
        of_version: dict[int, list[str]] = defaultdict(list)
        for name, version in seen.items():
            of_version[version].append(name)
        change = {"$set": {"expires": datetime.now(UTC) + timedelta(hours=keep_h)}, "$unset": {"open": ""}}
        writes: list[Any] = [
            UpdateMany({"_id": {"$in": names[at : at + BATCH]}, "version": version}, change)
            for version, names in of_version.items()
            for at in range(0, len(names), BATCH)
        ]
        if not writes:
            return 0
        async with errors():
            return len(seen) - (await self._trail.bulk_write(writes, ordered=False)).matched_count


def _within(fixes: FixColumns, from_ms: int, to_ms: int) -> FixColumns:
    """Fixes of a span of time, by rider and minute, in the order of (session, seq)."""
    if not len(fixes):
        return fixes
    whole = FixColumns.concat([chunk for _, chunk in chunks(fixes)])
    return whole.take((whole.ts_ms >= from_ms) & (whole.ts_ms <= to_ms))
