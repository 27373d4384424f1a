"""A server that runs elsewhere (`FORNO_*_URL` is set): not started, but checked and asked for its version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from deploy.stack.part import Command, Part


class Outside(Part):
    """Watches a server by its URL."""

    kind = "outside"

    def __init__(
        self,
        name: str,
        url: str,
        version: Callable[[str], Awaitable[str]],
        settle: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.address = url
        self._version = version
        self._settle = settle

    def command(self) -> Command | None:
        return None

    async def check(self) -> str:
        return await self._version(self.address)

    async def settle(self) -> None:
        if self._settle is not None:
            await self._settle(self.address)
