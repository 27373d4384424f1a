"""Store what a city has learned of travel and ETAs (its lesson), and load it when the owner changes.

A new travel model is stored before the first tick that goes by it, under the version that the tick's record names: so a
replay can go by the same one.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Protocol

import structlog

from dispatch.engine.eta.learning import BrokenLearning, CityLearning
from dispatch.engine.travel.learned import BrokenModel, LearnedTravel
from dispatch.shard.live_city import LiveCity
from node.clock import Clock
from node.errors import Retryable
from shard_router.topology import Ownership

#: What was learned is stored so often, domain milliseconds, and not more often than so many wall seconds.
STORE_EVERY_MS = 600_000
STORE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Lesson of a city: learning (`CityLearning.saved`) and the travel model made of it (`LearnedTravel.packed`).

    Model and version are empty where the shard goes by another model.
    """

    learning: bytes
    version: str = ""
    model: bytes = b""

    @property
    def name(self) -> str:
        """By which ticks name it."""
        return hashlib.sha256(self.learning).hexdigest()[:16]


class LessonStore(Protocol):
    """Store of cities' lessons. Any call may raise `Retryable`: then nothing was written."""

    async def take_over(self, ownership: Ownership) -> Lesson | None:
        """Load the lesson stored last, None for a city that has learned nothing, and note that this owner began with
        it, so that a replay finds it. Raises `OwnershipLost` when another owner took the city."""

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        """Replaces what was learned, adds the model. Checks the ownership: raises `OwnershipLost` when it is gone."""


class Lessons:
    """Keeps what one owned city learns; `before` is called before each tick."""

    def __init__(
        self,
        city: LiveCity,
        store: LessonStore,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        travels_by_them: bool,
    ) -> None:
        self._city = city
        self._store = store
        self._clock = clock
        self._log = log
        self._travels = travels_by_them
        self._picked_up = False
        #: For the record of the next tick: paces were computed anew; the lesson that this owner began with ("": none).
        self.renewed = False
        self.began_with: str | None = None
        self._stored_ms = 0
        self._stored_s = 0.0

    async def before(self) -> None:
        """Picks up what the last owner stored, once; stores when it is time. Raises `OwnershipLost`, and `Retryable`
        when nothing could be picked up: a tick must not go by another model than the one before it only by accident."""
        if not self._picked_up:
            await self._pick_up()
        elif self._due():
            await self._store_now()

    def ticked(self) -> None:
        """The tick is on record that tells what was picked up and renewed before it."""
        self.renewed, self.began_with = False, None

    async def _pick_up(self) -> None:
        lesson = await self._store.take_over(self._city.ownership)
        self._picked_up = True
        self._rest()
        self.began_with = lesson.name if lesson is not None else ""
        if lesson is None:
            return
        memory = self._city.committed.memory
        try:
            memory.learning = CityLearning.loaded(lesson.learning)
            if self._travels and lesson.model:
                memory.travel = LearnedTravel.unpacked(lesson.model)
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
        learning = city.committed.memory.learning
        self.renewed = True
        model = await asyncio.to_thread(learning.travel_learner.model)
        lesson = Lesson(await asyncio.to_thread(learning.saved))
        if self._travels:
            lesson = Lesson(lesson.learning, model.version, await asyncio.to_thread(model.packed))
        try:
            await self._store.store(city.ownership, lesson)
        except Retryable as error:
            self._log.warning("lessons not stored", error=str(error))
            return
        if self._travels:
            city.committed.memory.travel = model
