"""Free ports that stay ours: two stacks that start at once never choose the same one.

A port is chosen below the range from which the kernel takes the source ports of outgoing connections: a server that
dies must find its port free again when it is restarted, even while hundreds of clients are reconnecting.
"""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path
from typing import Self

from deploy.stack.errors import StackError

_LOWEST_PORT = 15_000
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_START = 32_768
_ATTEMPTS = 500


class Ports:
    """Hands out loopback ports; claims on them last until `close` or the death of this process."""

    def __init__(self) -> None:
        self._claims: list[socket.socket] = []
        self._random = random.SystemRandom()

    def take(self) -> int:
        """A port nobody listens on and no other stack of this machine has taken."""
        for _ in range(_ATTEMPTS):
            port = self._random.randrange(_LOWEST_PORT, _ephemeral_start())
            if self._claim(port):
                if _is_free(port):
                    return port
                self._claims.pop().close()
        raise StackError(f"no free port on 127.0.0.1 between {_LOWEST_PORT} and {_ephemeral_start()}")

    def close(self) -> None:
        """Give every claim back."""
        while self._claims:
            self._claims.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _claim(self, port: int) -> bool:
        """Bind a name in the kernel's abstract socket namespace: seen by every user, gone with this process."""
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if sys.platform == "linux":
            try:
                claim.bind(f"\0forno.port.{port}")
            except OSError:
                claim.close()
                return False
        self._claims.append(claim)
        return True


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of a dead server in TIME_WAIT do not make its port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _ephemeral_start() -> int:
    try:
        start = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_START
    # A machine that gives away nearly all ports leaves no room below; then any port is as good as another.
    return start if start > _LOWEST_PORT + 1_000 else _EPHEMERAL_START
