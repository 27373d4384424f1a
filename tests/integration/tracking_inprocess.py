"""The edge behind real gRPC in this process, on memory logs: for all that needs no broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from node.clock import SystemClock
from node.rpc import Server
from node.tokens import TokenSigner, TokenVerifier, create_keys
from tracking.adapters.memory import MemoryEventLog, MemoryFixLog, MemoryOffers, MemoryPartitions
from tracking.engine.edge import Edge
from tracking.engine.limits import Limits
from tracking.grpc_api import SERVICE, RiderLinkApi
from tracking.ports import EdgePorts

CITY = "la-serena"


@dataclass(slots=True)
class InProcess:
    """One edge; `address` changes when it is started again."""

    keys: Path
    clock: SystemClock = field(default_factory=SystemClock)
    fix_log: MemoryFixLog = field(default_factory=MemoryFixLog)
    event_log: MemoryEventLog = field(default_factory=MemoryEventLog)
    offers: MemoryOffers = field(default_factory=MemoryOffers)

    def token(self, rider: int) -> str:
        """A rider's token."""
        return TokenSigner(self.keys / "key.pem").sign("rider", str(rider), ttl_s=600, city=CITY)

    @asynccontextmanager
    async def edge(self, address: str = "127.0.0.1:0") -> AsyncIterator[tuple[Edge, str]]:
        """An edge that is serving, and its address; drained at the end."""
        log = structlog.get_logger()
        ports = EdgePorts(MemoryPartitions({CITY: 0}), self.fix_log, self.event_log, self.offers)
        edge = Edge(ports, self.clock, Limits(), log, linger_ms=2)
        api = RiderLinkApi(edge, TokenVerifier(self.keys / "jwks.json"), log)
        server = Server(address, [SERVICE], [api.add_to])
        await server.start()
        parts = [asyncio.create_task(edge.run()), asyncio.create_task(edge.task_sync.run())]
        try:
            yield edge, f"127.0.0.1:{server.port}"
        finally:
            await asyncio.gather(edge.drain(2), server.stop(3))
            edge.stop()
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    def logged(self, rider: int) -> set[tuple[int, int]]:
        """(session, seq) of a rider's fixes in the log."""
        return {
            (session, seq)
            for messages in self.fix_log.messages.values()
            for _, fixes in messages
            for who, session, seq in zip(
                fixes.rider_id.tolist(), fixes.session.tolist(), fixes.seq.tolist(), strict=True
            )
            if who == rider
        }


def in_process(folder: Path) -> InProcess:
    """A world with keys of its own."""
    create_keys(folder / "key.pem", folder / "jwks.json")
    return InProcess(folder)
