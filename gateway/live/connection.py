"""A WebSocket that knows whether it can take a frame, and calls its queue when it can again."""

from __future__ import annotations

import socket

from websockets.asyncio.server import ServerConnection
from websockets.protocol import OPEN

from gateway.live.socket_queue import SocketQueue

#: Kernel buffer of a socket, bytes. What is in it is on its way and cannot be conflated any more, so it is small: about
#: sixty positions. (The kernel doubles the number for its own bookkeeping.)
SEND_BUFFER = 8 * 1024


class LiveConnection(ServerConnection):
    """A `Wire`. Built with a write limit of 0: the transport says "paused" as soon as the kernel took not all."""

    queue: SocketQueue | None = None

    @property
    def ready(self) -> bool:
        return not self.paused and self.protocol.state is OPEN

    def write(self, frame: bytes) -> None:
        # Straight to the transport: `send` would frame it anew for each socket, at a third more CPU a push.
        self.transport.write(frame)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.queue is not None:
            self.queue.flush()


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound and listening; accepted sockets inherit the small send buffer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.bind((host, port))
    listener.listen(4096)
    return listener
