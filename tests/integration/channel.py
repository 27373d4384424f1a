"""gRPC channels of tests."""

from __future__ import annotations

import grpc.aio

#: Connect again soon: by itself a channel waits for a second after it was refused, and each time longer.
_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 300)]


def channel_to(address: str) -> grpc.aio.Channel:
    """A channel that is soon ready when its server starts to listen, for the first time or after its death."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)
