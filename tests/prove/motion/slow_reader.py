"""A customer on the worst line there is: one byte a second, for as long as one likes; then it wakes and reads all."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

#: The kernel's least, so that what waits for this reader waits at the server.
_RECEIVE_BUFFER = 2_304
_AWAKE_S = 3.0


class SlowReader:
    """A WebSocket read by hand."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.setblocking(False)
        self._raw = bytearray()
        self.bytes_read = 0

    async def connect(self, url: str) -> None:
        """Opens the socket and reads no more than the answer's head."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, (parts.hostname, parts.port or 80))
        key = b64encode(os.urandom(16)).decode()
        ask = (
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await loop.sock_sendall(self._socket, ask.encode())
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            head += await loop.sock_recv(self._socket, 1)
        assert head.startswith(b"HTTP/1.1 101"), head.decode()

    async def crawl(self, seconds: float, every_s: float = 1.0) -> None:
        """Reads a byte every so often."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            await self._read(1)
            await asyncio.sleep(every_s)

    async def frames(self) -> list[dict[str, Any]]:
        """Wakes: all frames that come within a few seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_AWAKE_S):
                while True:
                    await self._read(1 << 16)
        return list(self._frames())

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    async def _read(self, most: int) -> None:
        data = await asyncio.get_running_loop().sock_recv(self._socket, most)
        assert data, "the server hung up"
        self.bytes_read += len(data)
        self._raw += data

    def _frames(self) -> Iterator[dict[str, Any]]:
        """Text frames; pings are passed over (RFC 6455 §5.2)."""
        while len(self._raw) >= 2:
            size, at = self._raw[1] & 127, 2
            if size == 126:
                size, at = int.from_bytes(self._raw[2:4], "big"), 4
            if len(self._raw) < at + size:
                return
            opcode, body = self._raw[0] & 15, bytes(self._raw[at : at + size])
            del self._raw[: at + size]
            if opcode == 1:
                yield json.loads(body)
