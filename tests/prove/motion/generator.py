"""A process full of riders: `python -m tests.prove.motion.generator`, told by lines on its standard input.

It prints a line of JSON a second (`Told`), and when asked to `drain` writes what was acknowledged into a file: arrays
of (rider, session, seq) for fixes and the ids of events.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.clock import SystemClock
from node.tokens import TokenSigner
from simulator.demo.facts.logs import FIX_KEY
from tests.prove.motion.courier import Courier, Gate
from tracking.client import Connected, Disconnected, EdgeLink, Event, Refused, RiderClient, Throttled

_HZ = 1.0
_SLICES = 20


@dataclass(frozen=True, slots=True)
class Riders:
    """Riders that a process runs: `target` is a gRPC target, which may name several edges."""

    target: str
    key_file: str
    city: str
    home: tuple[int, int]
    first_rider: int
    count: int
    connections: int
    out: str


@dataclass(slots=True)
class Told:
    """Counts that the process prints each second."""

    connected: int = 0
    acked: int = 0
    unacked: int = 0
    throttled: int = 0
    sessions: int = 0
    thinned: int = 0
    refused: int = 0
    failed: int = 0
    held: int = 0
    drained: bool = False
    disconnects: dict[str, int] = field(default_factory=dict)


class Generator:
    """The riders of one process."""

    def __init__(self, riders: Riders) -> None:
        self.riders = riders
        self.gate = Gate()
        self.clients: list[RiderClient] = []
        self.couriers: list[Courier] = []
        self.throttled: set[int] = set()
        self.refused = 0
        self.disconnects: Counter[str] = Counter()
        self.riding = True
        self.drained = False

    async def run(self) -> None:
        """Rides until the input ends."""
        signer, clock = TokenSigner(Path(self.riders.key_file)), SystemClock()
        async with AsyncExitStack() as alive:
            link = await alive.enter_async_context(EdgeLink(self.riders.target, self.riders.connections))
            for n in range(self.riders.count):
                number = self.riders.first_rider + n
                token = signer.sign("rider", str(number), ttl_s=7200, city=self.riders.city)
                home = (self.riders.home[0] + n % 40 * 2_000, self.riders.home[1] + n // 40 * 3_000)
                courier = Courier(home, number, self.gate)
                client = RiderClient(link, token, clock, seed=number, on_event=self._ear(number, courier))
                courier.client = client
                self.couriers.append(courier)
                self.clients.append(await alive.enter_async_context(client))
                courier.begin()
            tasks = [asyncio.create_task(self._ride()), asyncio.create_task(self._tell())]
            try:
                await self._obey()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    def _ear(self, number: int, courier: Courier) -> Callable[[Event], None]:
        def hear(event: Event) -> None:
            if isinstance(event, Throttled):
                (self.throttled.add if event.max_fixes_per_s else self.throttled.discard)(number)
            elif isinstance(event, Refused):
                self.refused += 1
            elif isinstance(event, Connected):
                self.throttled.discard(number)
            elif isinstance(event, Disconnected):
                self.disconnects[event.reason[:60]] += 1
            courier.hear(event)

        return hear

    async def _ride(self) -> None:
        """Each rider once a second, spread evenly."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            for part in range(_SLICES):
                if self.riding:
                    for courier in self.couriers[part::_SLICES]:
                        courier.ride()
                due_s = max(due_s + 1 / _HZ / _SLICES, loop.time() - 1.0)
                await asyncio.sleep(due_s - loop.time())

    async def _tell(self) -> None:
        while True:
            journals = [client.journal for client in self.clients]
            told = Told(
                connected=sum(client.connected for client in self.clients),
                acked=sum(len(journal.acked_fixes) for journal in journals),
                unacked=sum(client.unacked for client in self.clients),
                throttled=len(self.throttled),
                sessions=sum(journal.sessions for journal in journals),
                thinned=sum(journal.thinned_fixes for journal in journals),
                refused=self.refused,
                failed=sum(client.failure is not None for client in self.clients),
                held=len(self.gate.held),
                drained=self.drained,
                disconnects=dict(self.disconnects),
            )
            print(json.dumps(asdict(told)), flush=True)
            await asyncio.sleep(1.0)

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            match line.strip():
                case b"storm":
                    self.gate.holding = False
                case b"release":
                    self.gate.released.set()
                case b"drain":
                    self.riding = False
                    await asyncio.gather(*(client.drain(120) for client in self.clients))
                    self._save()
                    self.drained = True

    def _save(self) -> None:
        numbers = range(self.riders.first_rider, self.riders.first_rider + len(self.clients))
        parts = [_keys(number, client) for number, client in zip(numbers, self.clients, strict=True)]
        events = [
            f"{number}-{session}-{seq}"
            for number, client in zip(numbers, self.clients, strict=True)
            for session, seq in client.journal.acked_events
        ]
        np.savez(self.riders.out, fixes=np.concatenate(parts), events=np.array(events))


def _keys(number: int, client: RiderClient) -> NDArray[np.void]:
    """The acknowledged fixes of a rider."""
    ranges = client.journal.acked_fixes.items
    keys = np.zeros(len(client.journal.acked_fixes), FIX_KEY)
    keys["rider"] = number
    at = 0
    for session, first, last in ranges:
        to = at + last - first + 1
        keys["session"][at:to] = session
        keys["seq"][at:to] = np.arange(first, last + 1, dtype=np.uint64)
        at = to
    return keys


def main() -> None:
    """Runs the riders named on the command line."""
    plain = json.loads(sys.argv[1])
    plain["home"] = tuple(plain["home"])
    asyncio.run(Generator(Riders(**plain)).run())


if __name__ == "__main__":
    main()
