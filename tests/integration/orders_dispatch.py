"""Dispatch as its events: follows city.events and brings every opened order to its end, stuttering as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError

from node.kafka import Offsets, TopicLoop
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.topics import CITY_EVENTS
from tests.integration.orders_world import OrdersWorld
from tests.shared_log import readable


class StutteringDispatch:
    """Delivers most orders and fails some; repeats and swaps its events, and tells them again to a new log. Seeded."""

    def __init__(self, world: OrdersWorld, seed: int, *, fails: float = 0.1) -> None:
        self._world = world
        self._random = Random(seed)
        self._fails = fails
        self._log_id = ""
        self._events: dict[str, list[DispatchEvent]] = {}
        self._told: set[str] = set()
        self._heard: set[str] = set()
        self._ours: set[str] = set()

    async def run(self) -> None:
        """Plays until cancelled."""
        loop = TopicLoop(
            self._world.kafka_url, (CITY_EVENTS.name,), self._from_the_beginning, self._handle, structlog.get_logger()
        )
        await loop.run()

    async def _from_the_beginning(self, log_id: str) -> Offsets:
        if log_id != self._log_id:
            self._log_id = log_id
            self._told.clear()
        return {}

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        for event in readable(CityEvent, (record.value for record in records)):
            self._heard.add(event.order_opened.order_id)
            await self._play(event.order_opened.order_id)

    async def adopt(self, order_id: str) -> None:
        """The order is this test's, not another's on the same topics. It may have been opened before its customer knew
        of it."""
        self._ours.add(order_id)
        while True:
            try:
                return await self._play(order_id)
            except KafkaError:  # killed just now
                await asyncio.sleep(0.1)

    async def _play(self, order_id: str) -> None:
        if order_id in self._ours and order_id in self._heard and order_id not in self._told:
            if order_id not in self._events:
                self._events[order_id] = self._life(order_id)
            await self._world.tell(*self._stuttered(self._events[order_id]))
            self._told.add(order_id)

    def _life(self, order_id: str) -> list[DispatchEvent]:
        world = self._world
        if self._random.random() < self._fails:
            return [world.next_event(order_id, "failed", reason="no_riders")]
        return [
            world.next_event(order_id, "assigned", rider_id=7, eta_ms=5000),
            world.next_event(order_id, "eta_changed", eta_ms=6000),
            world.next_event(order_id, "picked_up", rider_id=7, eta_ms=4000),
            world.next_event(order_id, "delivered", rider_id=7),
        ]

    def _stuttered(self, events: list[DispatchEvent]) -> list[DispatchEvent]:
        stutter = [*events, *self._random.sample(events, self._random.randint(0, len(events)))]
        if self._random.random() < 0.5:
            self._random.shuffle(stutter)
        return stutter
