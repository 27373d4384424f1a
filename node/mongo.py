"""MongoDB: a client that gives up soon, its errors as ours, and indexes made once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient, IndexModel
from pymongo.errors import BulkWriteError, PyMongoError

from node.errors import Retryable

DATABASE = "forno"


#: Documents a round trip: encoding them is the event loop's time.
BATCH = 200


_DUPLICATE = 11000


Document = dict[str, Any]


def connect(url: str) -> AsyncMongoClient[Document]:
    """A client that gives up soon rather than keep a view waiting."""
    return AsyncMongoClient(url, serverSelectionTimeoutMS=2000, socketTimeoutMS=20_000, connectTimeoutMS=2000)


@asynccontextmanager
async def errors() -> AsyncIterator[None]:
    """Raise the driver's errors as `Retryable`."""
    try:
        yield
    except (PyMongoError, OSError) as error:
        raise Retryable(f"mongo: {error!r}", reason="MONGO_AWAY") from error


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
    """Write in bulk; returns how many were refused because their filter no longer met the document of their id."""
    try:
        await collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        refused = (error.details or {}).get("writeErrors", [])
        if any(e.get("code") != _DUPLICATE for e in refused):
            raise
        return len(refused)
    return 0
