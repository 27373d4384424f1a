"""What a living city learns: looked at and told beside its ticks, stored now and then, picked up by its next owner.

A new travel model is stored before the first tick that goes by it, under the version that the tick's record names: so a
replay can go by the same one.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from dispatch.engine.eta.learning import BrokenLearning, EtaLearning
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Order, OrderId
from dispatch.engine.notes import Note
from dispatch.engine.params import EngineParams
from dispatch.engine.tracks import EtaOutcome
from dispatch.engine.travel.learned import BrokenModel, LearnedTravel
from dispatch.shard.city import City
from node.clock import Clock
from node.errors import Retryable
from shard_router.leases import Ownership

#: What was learned is stored so often, domain milliseconds, and not more often than so many wall seconds.
STORE_EVERY_MS = 600_000
STORE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learned (`EtaLearning.saved`), and the travel model made of it (`LearnedTravel.packed`) with its
    version; both empty where the shard goes by another."""

    learning: bytes
    version: str = ""
    model: bytes = b""


class LessonStore(Protocol):
    """Where a city's lessons are kept. Any call may raise `Retryable`: then nothing was written."""

    async def last(self, city: str) -> Lesson | None:
        """What was stored last; None for a city that has learned nothing."""

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        """Replaces what was learned, adds the model. Checks the ownership: raises `CityLost` when it is gone."""


class Lessons:
    """Teaches one owned city. `before` and `after` are called around each tick, by one task."""

    def __init__(
        self,
        city: City,
        store: LessonStore,
        params: EngineParams,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        travels_by_them: bool,
    ) -> None:
        self._city = city
        self._store = store
        self._params = params
        self._clock = clock
        self._log = log
        self._travels = travels_by_them
        self._picked_up = False
        self._stored_ms = 0
        self._stored_s = 0.0

    async def before(self) -> None:
        """Picks up what the last owner stored, once; stores when it is time. Raises `CityLost`, and `Retryable` when
        nothing could be picked up: a tick must not go by another model than the one before it only by accident."""
        if not self._picked_up:
            await self._pick_up()
        elif self._due():
            await self._store_now()

    async def after(
        self, notes: Iterable[Note], ended: Iterable[Order], outcomes: Iterable[EtaOutcome], positions: Positions
    ) -> None:
        """What came of a committed tick."""
        city = self._city
        learning, riders = city.learning, city.state.riders
        now_ms = self._clock.domain_ms()
        gone: dict[OrderId, Order] = {order.order_id: order for order in ended}
        learning.heard(notes, ChainMap(gone, city.state.orders), riders, self._params)
        for outcome in outcomes:
            learning.delivered(outcome.quotes, outcome.delivered_ms)
        if learning.due(now_ms):
            await asyncio.to_thread(learning.look, positions, riders, now_ms, self._params)

    async def _pick_up(self) -> None:
        lesson = await self._store.last(self._city.name)
        self._picked_up = True
        self._rest()
        if lesson is None:
            return
        try:
            self._city.learning = EtaLearning.loaded(lesson.learning)
            if self._travels and lesson.model:
                self._city.travel = LearnedTravel.unpacked(lesson.model)
        except (BrokenLearning, BrokenModel) as error:
            self._log.error("what was learned cannot be read: learning begins anew", error=str(error))

    def _due(self) -> bool:
        passed_s = self._clock.monotonic_s() - self._stored_s
        return passed_s >= STORE_EVERY_S and self._clock.domain_ms() - self._stored_ms >= STORE_EVERY_MS

    def _rest(self) -> None:
        self._stored_ms, self._stored_s = self._clock.domain_ms(), self._clock.monotonic_s()

    async def _store_now(self) -> None:
        self._rest()
        city = self._city
        learning = city.learning
        model = await asyncio.to_thread(learning.travel.model)
        lesson = Lesson(await asyncio.to_thread(learning.saved))
        if self._travels:
            lesson = Lesson(lesson.learning, model.version, await asyncio.to_thread(model.packed))
        try:
            await self._store.store(city.ownership, lesson)
        except Retryable as error:
            self._log.warning("lessons not stored", error=str(error))
            return
        if self._travels:
            city.travel = model
