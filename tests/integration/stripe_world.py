"""Two peers that speak Stripe's API over HTTP, as processes of their own, and ways to talk to them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from tests.integration.orders_world import free_address, until

WEBHOOK_SECRET = "whsec_of_the_tests"
API_KEY = "sk_test_peer"

#: localstripe, on loopback only and without its file in the temporary folder, which all of them would share.
_LOCALSTRIPE = """
import sys
from aiohttp import web
from localstripe import resources, server
resources.Store.dump_to_disk = lambda self: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running peer."""

    url: str
    http: httpx.AsyncClient

    async def post(self, path: str, **form: str) -> Mapping[str, Any]:
        """Post a form; the answer."""
        answer = await self.http.post(f"{self.url}{path}", data=form, headers={"Authorization": f"Bearer {API_KEY}"})
        answer.raise_for_status()
        told: Mapping[str, Any] = answer.json() if answer.content else {}
        return told

    async def get(self, path: str) -> Mapping[str, Any]:
        """Get an object."""
        answer = await self.http.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {API_KEY}"})
        answer.raise_for_status()
        told: Mapping[str, Any] = answer.json()
        return told

    async def state(self) -> Mapping[str, Any]:
        """All that our own peer knows."""
        return await self.get("/_peer/state")

    async def intents_of(self, order_id: str) -> list[Mapping[str, Any]]:
        """The intents that our own peer has for an order."""
        return [one for one in (await self.state())["intents"] if one["metadata"]["order_id"] == order_id]


@asynccontextmanager
async def _running(address: str, *argv: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(sys.executable, *argv)
    async with httpx.AsyncClient() as http:
        peer = Peer(f"http://{address}", http)

        async def listens() -> bool:
            with suppress(httpx.TransportError):
                await http.get(peer.url)
                return True
            return False

        try:
            await until(listens, bool, f"{argv} listens")
            yield peer
        finally:
            process.kill()
            await process.wait()


@asynccontextmanager
async def localstripe() -> AsyncIterator[Peer]:
    """The peer that others wrote. It ignores idempotency keys, refunds more than was paid, has no search, tells of no
    authentication by webhook and loses no answer.
    """
    address = free_address()
    async with _running(address, "-c", _LOCALSTRIPE, address.rpartition(":")[2]) as peer:
        yield peer


@asynccontextmanager
async def stripe_peer() -> AsyncIterator[Peer]:
    """Our own, for the rest: see `stripe_peer`."""
    address = free_address()
    module = "tests.integration.stripe_peer"
    async with _running(address, "-m", module, address.rpartition(":")[2], WEBHOOK_SECRET) as peer:
        yield peer
