"""Five kinds of kills, in turn, under riders and customers, and when these saw fresh positions again.

0 s      9 s                18 s           27 s              36 s
an edge  Redis and MongoDB  two gateways   the city's shard  the next round

A slot is longer than the wait that is promised, and than a dead process needs to start again beside 2,000 riders on
two cores: each kill is to be seen, not the start of who died before. What takes longer still runs into the next kill,
and counts in full.
MongoDB dies with Redis and has no waits of its own: customers would see it only as a longer wait for Redis. What it
must do after is in its views, which are counted at the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import asyncpg

from deploy.stack.stack import LocalStack
from tests.prove.motion.customers import Watcher

Kind = Literal["edge", "redis", "gateway", "shard", "mongo"]
#: Which parts each kind kills, in turn; a shard is chosen by what it owns.
PARTS: dict[Kind, tuple[tuple[str, ...], ...]] = {
    "edge": (("tracking",), ("tracking-2",)),
    "redis": (("redis",),),
    "gateway": (("gateway", "live"), ("gateway", "live-2")),
    "shard": (("shard-1",), ("shard-2",)),
    "mongo": (("mongo",),),
}
#: Servers are waited for: how long they need is not ours. What is ours counts from the kill.
SERVERS = frozenset({"redis", "mongo"})
#: Those that customers wait after.
NOTICED: tuple[Kind, ...] = ("edge", "redis", "gateway", "shard")
#: What dies together.
ROUND: tuple[tuple[Kind, ...], ...] = (("edge",), ("redis", "mongo"), ("gateway",), ("shard",))
#: What is promised, and how long everything is left alone after a kill, seconds.
SOON_S = 5.0
REST_S = 9.0
_HEALTHY_WITHIN_S = 60.0


@dataclass(slots=True)
class Kill:
    """One kill. `since_s` is when the clock of the return starts: at the kill, or when the server is there again."""

    kind: Kind
    parts: tuple[str, ...]
    killed_s: float
    since_s: float = 0.0


@dataclass(slots=True)
class Storm:
    """Kills of every kind, one round after another."""

    stack: LocalStack
    city: str
    core_url: str
    kills: list[Kill] = field(default_factory=list)
    _waits: list[asyncio.Task[None]] = field(default_factory=list)

    async def rage(self, rounds: int) -> None:
        """Kills each kind once a round."""
        for number in range(rounds):
            for kinds in ROUND:
                await asyncio.gather(*(self._kill(kind, number) for kind in kinds))
                await asyncio.sleep(REST_S)
        await asyncio.gather(*self._waits)
        await asyncio.sleep(2 * SOON_S)  # the last kill has as long as a wait may be

    async def _kill(self, kind: Kind, number: int) -> None:
        parts = await self._owner() if kind == "shard" else PARTS[kind][number % len(PARTS[kind])]
        # Who takes over must be there, or it is another drill than the one we mean.
        async with asyncio.timeout(_HEALTHY_WITHIN_S):
            for part in {part for parts in PARTS[kind] for part in parts}:
                await self.stack.until_healthy(part)
        kill = Kill(kind, parts, time.time())
        await asyncio.gather(*(self.stack.kill(part) for part in parts))
        kill.since_s = kill.killed_s
        self.kills.append(kill)
        if kind in SERVERS:
            self._waits.append(asyncio.create_task(self._returned(kill)))

    async def _returned(self, kill: Kill) -> None:
        async with asyncio.timeout(_HEALTHY_WITHIN_S):
            for part in kill.parts:
                await self.stack.until_healthy(part)
        kill.since_s = time.time()

    async def _owner(self) -> tuple[str, ...]:
        """The shard that has the city; whoever had it last while nobody has."""
        async with asyncio.timeout(_HEALTHY_WITHIN_S):
            while True:
                connection = await asyncpg.connect(self.core_url)
                try:
                    owner = await connection.fetchval("select owner from router.cities where city = $1", self.city)
                finally:
                    await connection.close()
                if owner:
                    return (str(owner),)
                await asyncio.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Returns:
    """Waits of customers for a fresh position after the kills of a kind, seconds; over all of its kills.

    `soon` is the share of the waits of at most `SOON_S`; those that never ended count as longer. `longest_each_s`
    is the longest that ended, of each kill in turn.
    """

    kills: int
    samples: int
    never: int
    soon: float
    longest_s: float
    median_s: float
    longest_each_s: tuple[float, ...]


def returns(kills: Sequence[Kill], watchers: Sequence[Watcher], kind: Kind) -> Returns:
    """Waits by the watchers' records for one kind of kill: one for each kill and watcher, whatever died in it."""
    since_s = [kill.since_s for kill in kills if kill.kind == kind]
    each_s = [
        [back_s - since for watcher in watchers if (back_s := watcher.back_s(since)) is not None] for since in since_s
    ]
    waits_s = sorted(wait for waits in each_s for wait in waits)
    wanted = len(since_s) * len(watchers)
    longest_s, median_s = (waits_s[-1], waits_s[len(waits_s) // 2]) if waits_s else (0.0, 0.0)
    return Returns(
        kills=len(since_s),
        samples=len(waits_s),
        never=wanted - len(waits_s),
        soon=round(sum(wait <= SOON_S for wait in waits_s) / max(1, wanted), 4),
        longest_s=round(longest_s, 2),
        median_s=round(median_s, 2),
        longest_each_s=tuple(round(max(waits, default=0.0), 2) for waits in each_s),
    )
