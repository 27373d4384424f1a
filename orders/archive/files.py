"""The archive's files, wherever its URL points: a folder, or what fsspec knows (s3://, gs:// with their packages)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import fsspec
import orjson
from fsspec.implementations.local import LocalFileSystem


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file of the archive: its path below the URL, the city it is of, how many rows it has."""

    path: str
    city: str
    rows: int


@dataclass(frozen=True, slots=True)
class ArchiveFiles:
    """The folder of the archive, in a file system of fsspec."""

    system: Any
    root: str

    @classmethod
    def at(cls, url: str) -> Self:
        """The archive of a URL; a plain path is a folder."""
        system, root = fsspec.core.url_to_fs(url)
        return cls(system, root.rstrip("/"))

    def path(self, name: str) -> str:
        """Where a file is, as the file system names it."""
        return f"{self.root}/{name}"

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """A file to write. It has its name only when all of it is there: a reader never finds a part of one."""
        path = self.path(name)
        self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.part"
        with self.system.open(part, "wb") as file:
            yield file
        if isinstance(self.system, LocalFileSystem):
            _fsync(part)
            os.replace(part, path)
            # The name, and the folders that were made for it, outlive a power cut only when their folders are synced.
            for folder in Path(path).parents:
                _fsync(str(folder))
                if str(folder) == self.root:
                    break
        else:
            self.system.mv(part, path)

    def write_json(self, name: str, body: object) -> None:
        """Writes a small file."""
        with self.writing(name) as file:
            file.write(orjson.dumps(body, option=orjson.OPT_INDENT_2))


def file_name(month: date, city: str, database: str) -> str:
    """Where the orders of a month, a city and a database are: what Hive calls partitioned."""
    return f"orders/month={month:%Y-%m}/city={city}/{database}.parquet"


def manifest_name(month: date, database: str) -> str:
    """What was archived, for people and for who has no database."""
    return f"manifests/month={month:%Y-%m}/{database}.json"


def _fsync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
