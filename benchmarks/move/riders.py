"""Thousands of riders by the real SDK, many on each connection, who send fixes at an even pace and carry orders."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle

from node.clock import Clock
from tracking.client import Disconnected, EdgeLink, Event, Offer, RiderClient, RiderStatus

#: Streams on one HTTP/2 connection.
STREAMS = 200
#: Riders that begin to connect together; the next ones wait for them.
_BATCH = 250
_BEAT_S = 0.02
#: Half the side of the square that riders are in, and a step between two fixes, 1e-7 degrees: 2 km and some 6 m.
_HALF_E7, _STEP_E7 = 180_000, 600
#: Seconds from accepting to the restaurant, to leaving it, and to the door.
_ARRIVES_S, _LEAVES_S, _DELIVERS_S = 4.0, 7.0, (60.0, 120.0)


@dataclass(slots=True)
class BenchRider:
    """One rider: where it is, and whether it has an order."""

    client: RiderClient
    lat_e7: int
    lng_e7: int
    busy: bool = False


@dataclass(slots=True)
class RiderFleet:
    """All riders of the run. `cuts` counts streams that ended since `watch_streams` was called."""

    clock: Clock
    address: str
    token_of: Callable[[int], str]
    center: tuple[int, int]
    seed: int = 1
    riders: dict[int, BenchRider] = field(default_factory=dict)
    cuts: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    sent: int = 0
    _links: list[EdgeLink] = field(default_factory=list)
    _errands: set[asyncio.Task[None]] = field(default_factory=set)
    _watching: bool = False

    async def start(self, count: int) -> None:
        """Connects so many riders and has them come on shift."""
        rng = random.Random(self.seed)
        self._links = [EdgeLink(self.address) for _ in range(-(-count // STREAMS))]
        for first in range(0, count, _BATCH):
            batch = [self._rider(number, rng) for number in range(first + 1, min(count, first + _BATCH) + 1)]
            for rider in batch:
                rider.client.start()
            for rider in batch:
                while not rider.client.connected:  # noqa: ASYNC110  thousands of events would cost more
                    await asyncio.sleep(0.01)
                at = (rider.lat_e7, rider.lng_e7)
                rider.client.status(RiderStatus.ONLINE, at=at, capacity=2, shift_end_ms=self.clock.domain_ms() + 10**8)

    def watch_streams(self) -> None:
        """Count streams that end from now on."""
        self._watching = True

    async def ride(self, fixes_per_s: float) -> None:
        """Sends fixes, rider after rider, until cancelled."""
        turn, rng = cycle(self.riders.values()), random.Random(self.seed + 1)
        due_s = self.clock.monotonic_s()
        while True:
            owed = int((self.clock.monotonic_s() - due_s) * fixes_per_s)
            due_s += owed / fixes_per_s
            for _ in range(owed):
                rider = next(turn)
                rider.lat_e7 += rng.randint(-_STEP_E7, _STEP_E7)
                rider.lng_e7 += rng.randint(-_STEP_E7, _STEP_E7)
                rider.client.fix(rider.lat_e7, rider.lng_e7)
            self.sent += owed
            await asyncio.sleep(_BEAT_S)

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything sent is acknowledged."""
        for task in self._errands:
            task.cancel()
        async with asyncio.timeout(timeout_s):
            for rider in self.riders.values():
                await rider.client.drain(timeout_s)

    async def close(self) -> None:
        """Ends all streams."""
        self._watching = False
        await asyncio.gather(*(rider.client.close() for rider in self.riders.values()))
        for link in self._links:
            await link.close()

    def _rider(self, number: int, rng: random.Random) -> BenchRider:
        link = self._links[number % len(self._links)]
        client = RiderClient(link, self.token_of(number), self.clock, on_event=lambda e: self._hears(number, e))
        lat_e7, lng_e7 = (middle + rng.randint(-_HALF_E7, _HALF_E7) for middle in self.center)
        rider = self.riders[number] = BenchRider(client, lat_e7, lng_e7)
        return rider

    def _hears(self, number: int, event: Event) -> None:
        rider = self.riders[number]
        if isinstance(event, Disconnected) and self._watching:
            self.cuts[event.reason] += 1
        elif isinstance(event, Offer):
            rider.client.reply(event.offer_id, not rider.busy)
            if not rider.busy:
                rider.busy = True
                task = asyncio.create_task(self._carry(rider, event.order_ids))
                self._errands.add(task)
                task.add_done_callback(self._errands.discard)

    async def _carry(self, rider: BenchRider, order_ids: tuple[str, ...]) -> None:
        rng = random.Random(order_ids[0])
        await asyncio.sleep(_ARRIVES_S)
        rider.client.status(RiderStatus.ARRIVED, order_id=order_ids[0])
        await asyncio.sleep(_LEAVES_S - _ARRIVES_S)
        for order_id in order_ids:
            rider.client.status(RiderStatus.PICKED_UP, order_id=order_id)
        await asyncio.sleep(rng.uniform(*_DELIVERS_S))
        for order_id in order_ids:
            rider.client.status(RiderStatus.DELIVERED, order_id=order_id)
        self.delivered += len(order_ids)
        rider.busy = False
