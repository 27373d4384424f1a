"""gRPC channels of tests."""

from __future__ import annotations

import grpc.aio

from node.rpc import CALLER_OPTIONS


def channel_to(address: str) -> grpc.aio.Channel:
    """A channel that is soon ready when its server starts to listen, for the first time or after its death."""
    return grpc.aio.insecure_channel(address, options=CALLER_OPTIONS)
