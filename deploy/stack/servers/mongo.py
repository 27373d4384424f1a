"""A server that speaks MongoDB's protocol: `mongod` when installed, else SecantusDB.

SecantusDB is GPL-2.0, so it is only ever run as a process of its own and nothing here imports it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.stack.errors import ServerMissing
from deploy.stack.part import Command, NotReady, Part
from deploy.stack.servers.programs import Program, in_wheel, installed

_MONGOD = "mongod"
_SECANTUS = "secantusdb"
_SELECTION_TIMEOUT_MS = 1_000


def find() -> list[Program]:
    """The MongoDB-protocol programs of this machine, the preferred one first."""
    found = []
    path = installed("mongod")
    if path is not None:
        found.append(Program(_MONGOD, path))
    wheel = in_wheel("secantus", "__main__.py")
    if wheel is not None:
        found.append(Program(_SECANTUS, wheel))
    return found


async def version(url: str) -> str:
    """`version` of buildInfo, and who really answers where a server says so; raises NotReady."""
    return await asyncio.to_thread(_version, url)


def _version(url: str) -> str:
    # The synchronous client: the asynchronous one leaves sockets behind when it is closed while it still searches.
    client: MongoClient[dict[str, object]]
    with MongoClient(url, serverSelectionTimeoutMS=_SELECTION_TIMEOUT_MS, directConnection=True) as client:
        try:
            info = client.admin.command("buildInfo")
        except PyMongoError as error:
            raise NotReady(str(error)) from error
    secantus = info.get("secantusVersion")
    return f"{secantus} (MongoDB {info['version']})" if secantus is not None else str(info["version"])


class Mongo(Part):
    """One MongoDB-protocol server on a loopback port."""

    name = "mongo"

    def __init__(self, programs: list[Program], port: int, data: Path) -> None:
        super().__init__()
        if not programs:
            raise ServerMissing("mongod is not installed, and the package secantusdb is missing")
        self._program = programs[0]
        self._port = port
        self.kind = self._program.kind
        # Both keep WiredTiger files, but not each other's.
        self._data = data / self.kind
        self.address = f"mongodb://127.0.0.1:{port}/?directConnection=true"

    async def prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)

    def command(self) -> Command:
        port = str(self._port)
        if self.kind == _MONGOD:
            mongod = (str(self._program.path), "--bind_ip", "127.0.0.1", "--nounixsocket")
            return Command((*mongod, "--port", port, "--dbpath", str(self._data)))
        secantus = (sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--cache-size", "256M")
        return Command((*secantus, "--port", port, "--storage-path", str(self._data)), cwd=self._data)

    async def check(self) -> str:
        return await version(self.address)
