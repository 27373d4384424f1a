"""A Postgres and its streaming replica, both of their own, on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.stack.servers.postgres import Postgres, find
from tests.integration.gateway_world import free_port

_READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Pair:
    """The URLs of both, without a database name, and the replica's process."""

    primary: str
    replica: str
    replica_process: asyncio.subprocess.Process


@asynccontextmanager
async def postgres_pair(folder: Path) -> AsyncIterator[Pair]:
    """Both running; `pg_basebackup` made the second from the first."""
    os.chmod(folder, 0o755)
    primary_port, replica_port = free_port(), free_port()
    first = folder / "primary"
    first.mkdir()
    server = Postgres(find(), primary_port, first)
    await server.prepare()
    argv = list(server.command().argv)
    primary = await _started(argv, first, server.address)
    second = folder / "replica"
    backup = [
        str(Path(find()[0].path).with_name("pg_basebackup")),
        "-D",
        str(second),
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
    ]
    process = await asyncio.create_subprocess_exec(*backup, "-d", f"{server.address}/postgres")
    assert await process.wait() == 0
    _owned_like(first / "cluster", second)
    address = server.address.replace(str(primary_port), str(replica_port))
    words = [
        word.replace(str(first / "cluster"), str(second)).replace(f"port={primary_port}", f"port={replica_port}")
        for word in argv
    ]
    try:
        replica = await _started(words, second, address)
        try:
            yield Pair(server.address, address, replica)
        finally:
            await _ended(replica)
    finally:
        await _ended(primary)


async def _started(argv: list[str], folder: Path, address: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    async with asyncio.timeout(_READY_S):
        while True:
            try:
                connection = await asyncpg.connect(f"{address}/postgres", timeout=2)
            except (OSError, TimeoutError, asyncpg.PostgresError):
                assert process.returncode is None, f"{argv} ended"
                await asyncio.sleep(0.05)
            else:
                await connection.close()
                return process


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _owned_like(model: Path, folder: Path) -> None:
    """Postgres runs as the owner of its folder, which root is not."""
    owner = model.stat()
    folder.chmod(0o700)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, owner.st_uid, owner.st_gid)
