"""Plain HTTP as every service does it: uvicorn as a part of a node, bounded in connections and in time.

It takes its signals from the node, binds its socket at once, and drains before it goes. (WebSockets have a server of
their own.) The size of a body is for the application to bound, which knows what it expects.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

#: How long requests under way may take to end at a stop, wall seconds.
DRAIN_S = 3
#: Connections and requests at the same time; beyond them the answer is 503.
MOST = 4_096
#: A connection without a request is closed after so many wall seconds.
IDLE_S = 30


class HttpServer:
    """Serves an application on a socket that is bound at once, so that a taken port stops the boot."""

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((host, port))
        self._socket.listen(1024)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,
                timeout_keep_alive=IDLE_S,
                limit_concurrency=MOST,
                backlog=1024,
            )
        )

    async def run(self) -> None:
        """Serves until cancelled, then lets the requests under way end."""
        serving = asyncio.create_task(self._server.serve([self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise


class _Server(uvicorn.Server):
    """Leaves the signals to the node."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
