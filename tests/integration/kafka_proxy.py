"""A proxy before a Kafka broker that drops the replies to some produce requests: the broker has the records, the
producer is not told. Whatever the broker says about its own address is rewritten to the proxy's, so that nobody goes
around it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PRODUCE = 0


class DroppingProxy:
    """Passes everything on, but for the replies to produce requests that carry `marker` while `drops` is above zero;
    while `answering` is cleared no reply at all, as a broker that is frozen.
    """

    def __init__(self, broker: str, marker: bytes) -> None:
        self._host, _, port = broker.rpartition(":")
        self._port = int(port)
        self._marker = marker
        self._tasks: set[asyncio.Task[None]] = set()
        self.drops = 0
        self.answering = asyncio.Event()
        self.answering.set()
        self.dropped = 0
        self.address = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DroppingProxy]:
        """Serves on a free port of loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        own_port = server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{own_port}"
        host = self._host.encode()
        self._theirs = host + struct.pack(">i", self._port)
        self._ours = host + struct.pack(">i", own_port)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            upstream, up = await asyncio.open_connection(self._host, self._port)
            doomed: set[int] = set()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._requests(reader, up, doomed))
                    group.create_task(self._replies(upstream, writer, doomed))
            except* (OSError, asyncio.IncompleteReadError):
                pass  # one side is gone: so is the other
            finally:
                up.close()
        writer.close()
        self._tasks.discard(task)

    async def _requests(self, reader: asyncio.StreamReader, up: asyncio.StreamWriter, doomed: set[int]) -> None:
        while True:
            size = await reader.readexactly(4)
            request = await reader.readexactly(int.from_bytes(size, "big"))
            key, correlation = struct.unpack_from(">h2xi", request)
            if key == _PRODUCE and self.drops > 0 and self._marker in request:
                self.drops -= 1
                doomed.add(correlation)
            up.write(size + request)
            await up.drain()

    async def _replies(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]) -> None:
        while True:
            size = await upstream.readexactly(4)
            reply = await upstream.readexactly(int.from_bytes(size, "big"))
            await self.answering.wait()
            if int.from_bytes(reply[:4], "big") in doomed:
                self.dropped += 1
                raise ConnectionResetError  # the records are there, the producer will never know
            writer.write(size + reply.replace(self._theirs, self._ours))
            await writer.drain()
