"""Upkeep: what fails in one database holds up no other."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from node.errors import Retryable
from orders.ordering.upkeep import OrderUpkeep


@dataclass(frozen=True, slots=True)
class Database:
    """Notes what was done to it; one that is away fails at everything."""

    name: str
    done: list[str]
    away: bool = False

    async def make_partitions(self) -> None:
        """As it says."""
        self._do("partitions")

    async def forget(self) -> None:
        """As it says."""
        self._do("forgotten")

    async def renew(self) -> None:
        """As it says."""
        self._do("index")

    def _do(self, what: str) -> None:
        if self.away:
            raise Retryable("away")
        self.done.append(f"{self.name} {what}")


async def test_a_database_that_fails_holds_up_no_other_and_partitions_come_first() -> None:
    """The first of three is away: the others get all they need, before anything else the months to come."""
    done: list[str] = []
    databases = [Database("a", done, away=True), Database("b", done), Database("c", done)]
    await OrderUpkeep(databases, databases, structlog.get_logger()).once()
    assert done == ["b partitions", "c partitions", "b forgotten", "c forgotten", "b index", "c index"]
