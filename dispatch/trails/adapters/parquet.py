"""Trails in Parquet: `trails/city=<city>/day=<YYYY-MM-DD>/hour=<HH>.parquet` under any fsspec URL.

Days and hours are UTC, of domain time.

Columns: rider_id, ts (UTC, ms), lat_e7, lng_e7, piece_ms, fixes; sorted by (rider_id, ts). The footer says the error in
metres (`forno.error_m`). A file is written beside its place, read back, and only then put into its place by a rename
(on an object store: a copy), so a reader sees the old hour or the new one, never a part of it.
"""

from __future__ import annotations

import hashlib
import posixpath
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dispatch.trails.errors import ArchiveBroken, TooMany
from dispatch.trails.interpolation import around
from dispatch.trails.model import HOUR_MS, POINT_COLUMNS, POINT_TYPES, TrailColumns
from node.errors import Retryable

_ERROR_KEY = b"forno.error_m"
_SCHEMA = pa.schema(
    [
        ("rider_id", pa.uint64()),
        ("ts", pa.timestamp("ms", tz="UTC")),
        ("lat_e7", pa.int32()),
        ("lng_e7", pa.int32()),
        ("piece_ms", pa.int64()),
        ("fixes", pa.uint32()),
    ]
)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise Retryable(f"the archive of trails: {error!r}", reason="ARCHIVE_AWAY") from error


class ParquetArchive:
    """`TrailArchive` in the folder `trails` of an fsspec URL, for instance `/var/lib/forno` or `s3://bucket/forno`."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(posixpath.join(url, "trails"))

    def read(self, city: str, hour: int, rider_ids: Sequence[int] | None = None) -> tuple[TrailColumns, float] | None:
        with _errors():
            try:
                with self._fs.open(self._path(city, hour), "rb") as source:
                    meta = pq.read_metadata(source)
                    source.seek(0)
                    chosen = None if rider_ids is None else pc.field("rider_id").isin(pa.array(rider_ids, pa.uint64()))
                    # Not `partitioning`: the folders' names are for others, the city is known here.
                    table = pq.read_table(source, filters=chosen, partitioning=None)
            except FileNotFoundError:
                return None
        return _points(table), float(meta.metadata[_ERROR_KEY])

    def around(self, city: str, hour: int, at_ms: int, most: int) -> tuple[TrailColumns, float] | None:
        parts, riders = [], 0
        with _errors():
            try:
                source = self._fs.open(self._path(city, hour), "rb")
            except FileNotFoundError:
                return None
            with source:
                file = pq.ParquetFile(source)
                # A row group is of some hundred riders: never the whole hour of a city at once.
                for group in range(file.num_row_groups):
                    part = around(_points(file.read_row_group(group)), at_ms)
                    riders += len(np.unique(part.rider_id))
                    if riders > most:
                        raise TooMany(f"more than {most} riders were in {city} in that hour, which is archived")
                    parts.append(part)
                return TrailColumns.concat(parts), float(file.metadata.metadata[_ERROR_KEY])

    def begin(self, city: str, hour: int, error_m: float) -> ParquetHour:
        path = self._path(city, hour)
        with _errors():
            self._fs.makedirs(posixpath.dirname(path), exist_ok=True)
            for left in self._fs.glob(f"{path}.*.part"):  # of a compaction that was killed
                self._fs.rm(left)
        return ParquetHour(self._fs, path, error_m)

    def hours(self, city: str) -> list[int]:
        """The hours that are archived, ascending."""
        with _errors():
            found = self._fs.glob(posixpath.join(self._root, f"city={city}", "day=*", "hour=*.parquet"))
        return sorted(map(_hour, found))

    def _path(self, city: str, hour: int) -> str:
        at = datetime.fromtimestamp(hour * HOUR_MS / 1000, UTC)
        return posixpath.join(self._root, f"city={city}", f"day={at:%Y-%m-%d}", f"hour={at:%H}.parquet")


class ParquetHour:
    """`HourWriter`: a row group each `add`."""

    def __init__(self, fs: Any, path: str, error_m: float) -> None:
        self._fs, self._path = fs, path
        self._part = f"{path}.{uuid.uuid4().hex}.part"
        self._digest = hashlib.sha256()
        with _errors():
            self._file = fs.open(self._part, "wb")
            schema = _SCHEMA.with_metadata({_ERROR_KEY: f"{error_m:g}".encode()})
            self._writer = pq.ParquetWriter(self._file, schema, compression="zstd", use_dictionary=False)

    def add(self, points: TrailColumns) -> None:
        self._digest.update(_bytes(points))
        columns = [getattr(points, name) for name in POINT_COLUMNS]
        with _errors():
            self._writer.write_table(pa.table(columns, names=_SCHEMA.names).cast(self._writer.schema))

    def finish(self) -> None:
        with _errors():
            self._writer.close()
            self._file.close()
            read = hashlib.sha256()
            with self._fs.open(self._part, "rb") as source:
                written = pq.ParquetFile(source)
                for group in range(written.num_row_groups):
                    read.update(_bytes(_points(written.read_row_group(group))))
            if read.digest() != self._digest.digest():
                raise ArchiveBroken(f"{self._part} does not read back as it was written")
            self._fs.mv(self._part, self._path)

    def abandon(self) -> None:
        with suppress(OSError, pa.ArrowInvalid):
            self._writer.close()
            self._file.close()
        with suppress(OSError):
            self._fs.rm(self._part)


def _points(table: pa.Table) -> TrailColumns:
    columns = [
        np.asarray(column.combine_chunks().cast(kind) if kind else column)
        for column, kind in zip(table.columns, (None, pa.int64(), None, None, None, None), strict=True)
    ]
    return TrailColumns(*(np.ascontiguousarray(c, kind) for c, kind in zip(columns, POINT_TYPES, strict=True)))


def _bytes(points: TrailColumns) -> bytes:
    return b"".join(getattr(points, name).tobytes() for name in POINT_COLUMNS)


def _hour(path: str) -> int:
    day, _, name = path.rpartition("/")
    at = datetime.strptime(f"{day.rpartition('day=')[2]} {name[5:7]}", "%Y-%m-%d %H").replace(tzinfo=UTC)
    return round(at.timestamp() * 1000) // HOUR_MS
