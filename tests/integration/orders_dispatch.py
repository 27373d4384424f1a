"""Dispatch as its events: follows city.events and brings every opened order to its end, stuttering as it goes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import structlog
from aiokafka import ConsumerRecord

from node.kafka import Offsets, TopicLoop
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.topics import CITY_EVENTS
from tests.integration.orders_world import OrdersWorld


class StutteringDispatch:
    """Delivers most orders and fails some; repeats and swaps its events. Seeded."""

    def __init__(self, world: OrdersWorld, seed: int, *, fails: float = 0.1) -> None:
        self._world = world
        self._random = Random(seed)
        self._fails = fails
        self._opened: set[str] = set()
        self.ours: set[str] = set()

    async def run(self) -> None:
        """Plays until cancelled."""

        async def from_the_beginning(log_id: str) -> Offsets:
            return {}

        loop = TopicLoop(
            self._world.kafka_url, (CITY_EVENTS.name,), from_the_beginning, self._handle, structlog.get_logger()
        )
        await loop.run()

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        for record in records:
            event = CityEvent.FromString(record.value)
            order_id = event.order_opened.order_id
            if order_id in self.ours and order_id not in self._opened:
                self._opened.add(order_id)
                await self._play(order_id)

    async def _play(self, order_id: str) -> None:
        world, random = self._world, self._random
        if random.random() < self._fails:
            events = [world.next_event(order_id, "failed", reason="no_riders")]
        else:
            events = [
                world.next_event(order_id, "assigned", rider_id=7, eta_ms=5000),
                world.next_event(order_id, "eta_changed", eta_ms=6000),
                world.next_event(order_id, "picked_up", rider_id=7, eta_ms=4000),
                world.next_event(order_id, "delivered", rider_id=7),
            ]
        stutter = [*events, *random.sample(events, random.randint(0, len(events)))]
        if random.random() < 0.5:
            random.shuffle(stutter)
        await world.tell(*stutter)
