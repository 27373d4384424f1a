"""Streams between the SDK and an edge without gRPC: its `Call` and its server's context as two queues."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn, cast

import grpc.aio
import structlog

from node.tokens import Subject, TokenVerifier
from proto.tracking.v1 import rider_link_pb2 as pb
from tests.unit.tracking.worlds import EdgeWorld
from tracking.client.link import Call, EdgeLink
from tracking.grpc_api import RiderLinkApi


class Line:
    """One stream. Cancelled, whoever reads from it is cancelled, as with gRPC."""

    def __init__(self) -> None:
        self._up: asyncio.Queue[bytes] = asyncio.Queue()
        self._down: asyncio.Queue[bytes | BaseException] = asyncio.Queue()
        self.server: asyncio.Task[None] | None = None

    # The app's end.

    async def write(self, request: pb.ConnectRequest) -> None:
        self._up.put_nowait(request.SerializeToString())

    async def read(self) -> Any:
        said = await self._down.get()
        if isinstance(said, BaseException):
            raise said
        return pb.ConnectResponse.FromString(said) if said else grpc.aio.EOF

    def cancel(self) -> None:
        self._down.put_nowait(asyncio.CancelledError())
        if self.server is not None:
            self.server.cancel()

    # The edge's end.

    def ended(self, _: asyncio.Task[None]) -> None:
        """The servicer returned."""
        self._down.put_nowait(b"")

    def context(self) -> LineContext:
        """For the servicer."""
        return LineContext(self._up, self._down)


class LineContext:
    """A `ServicerContext` for `RiderLinkApi`."""

    def __init__(self, up: asyncio.Queue[bytes], down: asyncio.Queue[bytes | BaseException]) -> None:
        self._up, self._down = up, down

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    async def read(self) -> bytes:
        return await self._up.get()

    async def write(self, response: bytes) -> None:
        self._down.put_nowait(response)

    async def abort(self, code: grpc.StatusCode, details: str, trailing: Any) -> NoReturn:
        self._down.put_nowait(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details))
        raise asyncio.CancelledError


class _Rider:
    """A `TokenVerifier` that takes everybody for rider 1 of La Serena."""

    def verify_bearer(self, _: str | None) -> Subject:
        return Subject("rider", "1", {"city": "la-serena"})


class MemoryLink:
    """An `EdgeLink` to the edge of a world."""

    def __init__(self, world: EdgeWorld, first: Line | None) -> None:
        self._api = RiderLinkApi(world.edge, cast(TokenVerifier, _Rider()), structlog.get_logger())
        self._first = first

    def connect(self, _: str) -> Call:
        line, self._first = self._first or Line(), None
        line.server = asyncio.create_task(self._api.connect(cast(Any, None), cast(Any, line.context())))
        line.server.add_done_callback(line.ended)
        return cast(Call, line)


def memory_link(world: EdgeWorld, first: Line | None = None) -> EdgeLink:
    """The link as the SDK wants it; its first stream may be a line of one's own."""
    return cast(EdgeLink, MemoryLink(world, first))
