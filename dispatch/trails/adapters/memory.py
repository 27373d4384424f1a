"""Trails in memory: what `trails.adapters.mongo` and `mongo_history` keep and answer, with the same promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dispatch.logs.cut import Cut
from dispatch.trails.errors import TooMany
from dispatch.trails.minute_documents import MINUTE_MS, TrailKey, chunks, middle
from dispatch.trails.model import HOUR_MS
from dispatch.trails.ports import HourPart
from node.geodesy import distances_m
from proto.fix_columns import FixColumns

_HOUR = HOUR_MS // MINUTE_MS


class MemoryTrails:
    """`TrailStore`, `HotTrails` and `OpenHours` as dicts. `expire` does what MongoDB's TTL does."""

    def __init__(self) -> None:
        self._chunks: dict[tuple[str, TrailKey], FixColumns] = {}
        self._versions: dict[tuple[str, TrailKey], int] = {}
        self._archived: dict[tuple[str, TrailKey], int] = {}
        self._cuts: dict[str, tuple[int, Cut]] = {}

    async def position(self, city: str) -> Cut | None:
        found = self._cuts.get(city)
        return found[1] if found is not None else None

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        touched = {(city, key) for key, _ in chunks(fixes)}
        known = [self._chunks[name] for name in touched if name in self._chunks]
        for key, chunk in chunks(FixColumns.concat([*known, fixes])):
            self._chunks[city, key] = chunk
            self._versions[city, key] = self._versions.get((city, key), 0) + 1
            self._archived.pop((city, key), None)

    async def advance(self, city: str, epoch: int, cut: Cut) -> None:
        if self._cuts.get(city, (0,))[0] <= epoch:
            self._cuts[city] = (epoch, cut)

    async def of_rider(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> FixColumns:
        minutes = range(from_ms // MINUTE_MS, to_ms // MINUTE_MS + 1)
        return self._within(city, [rider_id], minutes, from_ms, to_ms)

    async def around(
        self, city: str, at: tuple[int, int], radius_m: float, from_ms: int, to_ms: int, most: int
    ) -> FixColumns:
        minutes = range(from_ms // MINUTE_MS, to_ms // MINUTE_MS + 1)
        near = set[int]()
        for (name, key), chunk in self._chunks.items():
            lng, lat, reach_m = middle(chunk)
            off = np.array([round(lat * 1e7), round(lng * 1e7)], np.int64)
            off_m = distances_m(off, np.array(at, np.int64))
            if name == city and key.minute in minutes and off_m <= radius_m + reach_m:
                near.add(key.rider_id)
        if len(near) * len(minutes) > most:
            raise TooMany(f"more than {most} rider-minutes lie near that place")
        return self._within(city, sorted(near), minutes, from_ms, to_ms)

    async def cities(self) -> Sequence[str]:
        return sorted({city for city, _ in self._chunks})

    async def next_open(self, city: str, from_hour: int) -> int | None:
        names = [n for n in self._chunks if n[0] == city and n not in self._archived]
        return min((h for n in names if (h := n[1].minute // _HOUR) >= from_hour), default=None)

    async def riders(self, city: str, hour: int) -> Sequence[int]:
        return sorted({k.rider_id for name, k in self._chunks if name == city and k.minute // _HOUR == hour})

    async def part(self, city: str, hour: int, rider_ids: Sequence[int]) -> HourPart:
        minutes = range(hour * _HOUR, (hour + 1) * _HOUR)
        keys = [TrailKey(rider, minute) for rider in rider_ids for minute in minutes]
        seen = {f"{city}/{k.rider_id}/{k.minute}": v for k in keys if (v := self._versions.get((city, k)))}
        return HourPart(self._within(city, rider_ids, minutes, 0, 1 << 62), seen)

    async def archived(self, seen: Mapping[str, int], keep_h: int) -> int:
        changed = 0
        for name, version in seen.items():
            city, rider, minute = name.split("/")
            key = (city, TrailKey(int(rider), int(minute)))
            if self._versions.get(key) == version:
                self._archived[key] = keep_h
            else:
                changed += 1
        return changed

    def expire(self) -> None:
        """Drop everything that is archived."""
        for name in self._archived:
            del self._chunks[name], self._versions[name]
        self._archived.clear()

    def _within(self, city: str, rider_ids: Sequence[int], minutes: range, from_ms: int, to_ms: int) -> FixColumns:
        names = [(city, TrailKey(rider, minute)) for rider in rider_ids for minute in minutes]
        found = [self._chunks[name] for name in names if name in self._chunks]
        whole = FixColumns.concat(found) if found else FixColumns.zeros(0)
        return whole.take((whole.ts_ms >= from_ms) & (whole.ts_ms <= to_ms))
