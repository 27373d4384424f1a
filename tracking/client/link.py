"""Connections to the edge, shared by many riders of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import grpc.aio

from proto.tracking.v1 import rider_link_pb2 as pb
from proto.tracking.v1.rider_link_pb2_grpc import RiderLinkStub

if TYPE_CHECKING:  # exists in the stubs' .pyi only
    from proto.tracking.v1.rider_link_pb2_grpc import RiderLinkAsyncStub

Call = grpc.aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one address share one connection
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


class EdgeLink:
    """A few HTTP/2 connections to one address; each rider's stream takes the next one in turn."""

    def __init__(self, address: str, connections: int = 1) -> None:
        self._channels = [grpc.aio.insecure_channel(address, options=_OPTIONS) for _ in range(connections)]
        self._stubs: list[RiderLinkAsyncStub] = [RiderLinkStub(channel) for channel in self._channels]
        self._turn = 0

    def connect(self, token: str) -> Call:
        """A new stream."""
        self._turn = (self._turn + 1) % len(self._stubs)
        return self._stubs[self._turn].Connect(metadata=(("authorization", f"Bearer {token}"),))

    async def close(self) -> None:
        """Closes the connections and all streams on them."""
        for channel in self._channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
