"""Connections to Postgres whose failures are classified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from node.errors import Retryable
from node.postgres.errors import classified

#: A frozen owner must block nobody: its transaction is ended and its locks are given up (wall milliseconds).
GUARDS = {"idle_in_transaction_session_timeout": "1000", "lock_timeout": "1000"}

#: How long to wait for a free connection of a pool, wall seconds.
ACQUIRE_S = 2.0


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """Goes back to its pool without the driver's reset, a round trip for each query: nothing here leaves state on a
    session (settings are local to transactions, locks too; a forgotten LISTEN tells nobody).
    """

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


async def connect(url: str, *, min_size: int = 1, max_size: int = 8, guarded: bool = False) -> asyncpg.Pool:
    """A pool on one database. With `guarded`, its sessions carry `GUARDS` (for all that decides); with `min_size` 0 the
    server may be away for now.
    """
    with classified():
        return await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            command_timeout=10,
            connection_class=_Connection,
            server_settings=GUARDS if guarded else {},
        )


class PoolExhausted(Retryable):
    """All connections of a pool are in use: this process has more to do than it may, or somebody keeps one for long."""

    reason = "POOL_EXHAUSTED"


@asynccontextmanager
async def session(pool: asyncpg.Pool, within_s: float | None = None) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a pool, errors classified. With `within_s`, waiting for it and all that is done with it may take
    so long; without, only the waiting is bounded (`ACQUIRE_S`). Raises `PoolExhausted` when none came free.
    """
    one = None
    with classified():
        try:
            async with asyncio.timeout(within_s), pool.acquire(timeout=ACQUIRE_S if within_s is None else None) as one:
                yield one
        except TimeoutError as error:
            if one is None and pool.get_size() == pool.get_max_size() and not pool.get_idle_size():
                raise PoolExhausted(f"all {pool.get_size()} connections to Postgres are in use") from error
            raise


@asynccontextmanager
async def connection(url: str, *, command_timeout_s: float | None = None) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own for a command, closed afterwards; errors classified."""
    with classified():
        opened = await asyncpg.connect(url, command_timeout=command_timeout_s)
        try:
            yield opened
        finally:
            await opened.close()
