"""A rider's home changes: the old city grants it, then the new one hears of it. Before the rider's first Welcome there.

    Hello(last_city) ──> old city's log ──> its owner: idle? ──granted──> new city's log ──> Welcome
                                                └─ busy ──> NOT_IDLE

Every step may be done again: an edge that dies between two of them leaves a rider who connects again, and begins anew.
"""

from __future__ import annotations

import asyncio

from node.clock import Clock
from tracking.errors import HandoverPending, LogAway, NotIdle
from tracking.model import RiderEvent, RiderId, RiderRehomed, SessionId, Tasks
from tracking.ports import EventLog, OfferSource, Partitions

#: The old home has so long to grant it, and is asked so often meanwhile, wall seconds.
GRANTED_WITHIN_S = 5.0
ASK_EVERY_S = 0.1


class Rehoming:
    """Hands riders over."""

    def __init__(self, partitions: Partitions, events: EventLog, source: OfferSource, clock: Clock) -> None:
        self._partitions = partitions
        self._events = events
        self._source = source
        self._clock = clock

    async def move(self, rider_id: RiderId, from_city: str, to_city: str, last_session: int) -> None:
        """Returns when both cities know. Raises `NotIdle`, `HandoverPending`, `OwnerAway`, `Invalid` (no such city)."""
        partitions = self._partitions.partition(from_city), self._partitions.partition(to_city)
        tasks = await self._tasks(from_city, rider_id)
        if not tasks.idle:
            raise NotIdle(f"rider {rider_id} still has something to do in {from_city}")
        body = RiderRehomed(from_city, to_city, self._clock.domain_ms())
        # Not a number of the session: each try is an event of its own, and one that was refused may be granted later.
        seq = self._clock.wall_ms()
        await self._append(partitions[0], RiderEvent(from_city, rider_id, SessionId(last_session), seq, body))
        await self._granted(rider_id, from_city, to_city)
        await self._append(partitions[1], RiderEvent(to_city, rider_id, SessionId(last_session), seq, body))

    async def _granted(self, rider_id: RiderId, from_city: str, to_city: str) -> None:
        try:
            async with asyncio.timeout(GRANTED_WITHIN_S):
                while (tasks := await self._tasks(from_city, rider_id)).moved_to != to_city:
                    if not tasks.idle:
                        raise NotIdle(f"rider {rider_id} was given something to do in {from_city} meanwhile")
                    await asyncio.sleep(ASK_EVERY_S)
        except TimeoutError:
            raise HandoverPending(f"{from_city} has not let rider {rider_id} go yet") from None

    async def _tasks(self, city: str, rider_id: RiderId) -> Tasks:
        return (await self._source.tasks(city, [rider_id])).tasks.get(rider_id, Tasks())

    async def _append(self, partition: int, event: RiderEvent) -> None:
        try:
            await self._events.append(partition, [event])
        except LogAway as error:
            raise HandoverPending("the log is away") from error
