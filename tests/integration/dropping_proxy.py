"""A TCP proxy that can be cut: what is sent meanwhile waits, as in a network that drops packets and comes back."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class DroppingProxy:
    """Between one client and one server. While `cut`, nothing passes and connections stay open but mute.

    A Kafka broker tells its clients where it is; with `tells_port` that is put right in what it says.
    """

    host: str
    port: int
    tells_port: bool = False
    own_port: int = 0
    passed: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self) -> None:
        """Let nothing pass from now on."""
        self.passed.clear()

    def heal(self) -> None:
        """Let pass what waits, and all that follows."""
        self.passed.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        await self.passed.wait()
        there, away = await asyncio.open_connection(self.host, self.port)
        up = asyncio.create_task(self._pump(reader, away, mend=False))
        down = asyncio.create_task(self._pump(there, writer, mend=self.tells_port))
        self._tasks |= {up, down}
        with suppress(asyncio.CancelledError):
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
            self._tasks.discard(task)
        for end in (away, writer):
            end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, mend: bool) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                await self.passed.wait()
                sink.write(self._mended(data) if mend else data)
                await sink.drain()

    def _mended(self, data: bytes) -> bytes:
        for name in (b"127.0.0.1", b"localhost"):
            data = data.replace(name + struct.pack(">i", self.port), name + struct.pack(">i", self.own_port))
        return data


@asynccontextmanager
async def dropping_proxy(address: str, *, tells_port: bool = False) -> AsyncIterator[DroppingProxy]:
    """A proxy before host:port, passing everything for now."""
    host, _, port = address.rpartition(":")
    proxy = DroppingProxy(host, int(port), tells_port)
    proxy.heal()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.own_port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.heal()
        server.close()
        for task in list(proxy._tasks):
            task.cancel()
