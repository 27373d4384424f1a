"""Kitchens over many databases: one that is away takes no board away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
import pytest
import structlog

from node.clock import ManualClock
from node.errors import Retryable
from orders.kitchen.adapters.postgres import PostgresKitchens
from orders.kitchen.model import Kitchen
from orders.ranges import ByRange, RangeMap
from tests.unit.orders.worlds import NOW_MS

RANGES = RangeMap.parse("0-32767=west,32768-65535=east")


@dataclass
class Pool:
    """A database, its pool and its connection, in which a kitchen called one order ready; it may be away."""

    cooked_ms: int
    away: bool = False

    @asynccontextmanager
    async def acquire(self, timeout: float | None) -> AsyncIterator[Pool]:
        """A connection."""
        yield self

    async def fetch(self, query: str, *args: object) -> list[dict[str, Any]]:
        """That order."""
        if self.away:
            raise OSError("connection refused")
        return [{"said_s": 600, "accepted_ms": 0, "cooked_ms": self.cooked_ms}]


@pytest.mark.parametrize(("away", "seen"), [((), [2, 1]), (("west",), [2]), (("east",), [1])])
async def test_what_the_databases_that_answer_have_is_shown(away: tuple[str, ...], seen: list[int]) -> None:
    """All of it, newest first, or what can be seen."""
    assert [one.cooked_ms for one in await kitchens(*away).cooked(Kitchen("la-serena", "r-1"), 10)] == seen


async def test_when_no_database_answers_that_is_said() -> None:
    """An empty board would say that there is nothing to cook."""
    with pytest.raises(Retryable):
        await kitchens("west", "east").cooked(Kitchen("la-serena", "r-1"), 10)


def kitchens(*away: str) -> PostgresKitchens:
    """Kitchens over two databases, some of them away."""
    pools = {"west": Pool(1, "west" in away), "east": Pool(2, "east" in away)}
    by_range = ByRange(RANGES, cast(dict[str, asyncpg.Pool], pools))
    return PostgresKitchens(by_range, ManualClock(NOW_MS), structlog.get_logger())
