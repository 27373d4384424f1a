"""Five kinds of kills, in turn, under riders and customers, and when these saw fresh positions again.

0 s      4 s                7 s            11 s              16 s
an edge  Redis and MongoDB  two gateways   the city's shard  the next round
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
#: Customers see nothing of these: they break into no other wait.
HARMLESS = frozenset({"mongo"})
#: What dies together, and how long it is left alone then, seconds.
ROUND: tuple[tuple[tuple[Kind, ...], float], ...] = (
    (("edge",), 4.0),
    (("redis", "mongo"), 3.0),
    (("gateway",), 4.0),
    (("shard",), 5.0),
)
#: What is promised, seconds.
SOON_S = 5.0
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
            for kinds, rest_s in ROUND:
                await asyncio.gather(*(self._kill(kind, number) for kind in kinds))
                await asyncio.sleep(rest_s)
        await asyncio.gather(*self._waits)
        # The last shard that was killed is not waited for above beyond its health; the city may still be loading.
        await asyncio.sleep(5.0)

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
    """How long customers waited for a fresh position after the kills of a kind, seconds; over all of its kills.

    `merged` counts the waits over `SOON_S` that another kill broke into: they are counted with that one.
    """

    kills: int
    samples: int
    merged: int
    longest_s: float
    median_s: float
    never: int


def returns(kills: Sequence[Kill], watchers: Sequence[Watcher], kind: Kind) -> Returns:
    """What the watchers' records say of one kind of kill."""
    waits: list[float] = []
    merged = never = 0
    for kill in kills:
        if kill.kind != kind:
            continue
        for watcher in watchers:
            back_s = watcher.back_s(kill.since_s)
            broken = any(
                kill.since_s < other.since_s and (back_s is None or other.killed_s < back_s)
                for other in kills
                if other is not kill and other.kind not in HARMLESS
            )
            if back_s is not None and (back_s - kill.since_s <= SOON_S or not broken):
                waits.append(back_s - kill.since_s)
            elif broken:
                merged += 1
            else:
                never += 1
    waits.sort()
    count = sum(kill.kind == kind for kill in kills)
    longest_s, median_s = (round(waits[-1], 2), round(waits[len(waits) // 2], 2)) if waits else (0.0, 0.0)
    return Returns(count, len(waits), merged, longest_s, median_s, never)
