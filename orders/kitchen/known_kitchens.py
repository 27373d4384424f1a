"""Keep what is known of kitchens in memory: whether they are asked about orders, and how long they need.

Placing an order must not wait for the history of a restaurant. What is kept may be `FRESH_S` old, and is used until
`STALE_S` while it is looked up anew; after that the look-up is waited for, `LOOKUP_TIMEOUT_S` at most. When the
databases do not answer, what is known counts, else the rule of the city and the time that the restaurant says.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from node.clock import Clock
from node.errors import Retryable
from orders.kitchen.model import CookedOrder, Kitchen
from orders.kitchen.pace import Pace, PaceSample, pace_of
from orders.kitchen.ports import KitchenStore
from orders.model import Basket, KitchenTerms

#: Wall seconds after which a kitchen is looked up again.
FRESH_S = 60.0
#: What is older is not used before a look-up was waited for: its restaurant may have chosen otherwise elsewhere.
STALE_S = 2 * FRESH_S
#: The first order of a kitchen, or of one not asked about for a while, waits this long for the look-up, wall seconds.
LOOKUP_TIMEOUT_S = 0.5
#: Kitchens kept; the one not asked about for the longest time goes first.
MAX_KITCHENS = 10_000
#: Orders that a pace is learned from.
HISTORY = 300

#: (city, domain milliseconds) -> local hour of the day.
HourOf = Callable[[str, int], int]


@dataclass(frozen=True, slots=True)
class KnownKitchen:
    """Stored facts about a kitchen."""

    city: str
    auto_accept: bool
    cooked: Sequence[PaceSample]
    hour_of: HourOf
    looked_s: float
    #: By hour, once somebody asked: each order that is placed does.
    _paces: dict[int, Pace] = field(default_factory=dict)

    def pace(self, now_ms: int) -> Pace:
        """Its pace at this time of the day."""
        hour = self.hour_of(self.city, now_ms)
        if hour not in self._paces:
            self._paces[hour] = pace_of(self.cooked, hour)
        return self._paces[hour]


class KnownKitchens:
    """`KitchenTermsLookup` over the stored kitchens, in memory for a while."""

    def __init__(
        self,
        store: KitchenStore,
        asked_cities: frozenset[str],
        hour_of: HourOf,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._store = store
        #: Cities whose kitchens are asked, unless they chose otherwise; those of other cities take what comes.
        self._asked = asked_cities
        self._hour_of = hour_of
        self._clock = clock
        self._log = log
        self._known: OrderedDict[Kitchen, KnownKitchen] = OrderedDict()
        self._looking: dict[Kitchen, asyncio.Task[KnownKitchen]] = {}

    async def terms(self, basket: Basket) -> KitchenTerms:
        """The terms of an order that is placed now. Never raises, never waits long."""
        kitchen = Kitchen(basket.city, basket.restaurant.restaurant_id)
        known = await self.known(kitchen)
        pace = known.pace(self._clock.domain_ms())
        reckoned_s = round(basket.restaurant.preparation_s * pace.median) if pace.samples else 0
        return KitchenTerms(known.auto_accept, reckoned_s)

    async def known(self, kitchen: Kitchen) -> KnownKitchen:
        """The kitchen, as last looked up, or by the rule of its city when it cannot be."""
        found = self._known.get(kitchen)
        if found is not None:
            self._known.move_to_end(kitchen)
            age_s = self._clock.monotonic_s() - found.looked_s
            if age_s > FRESH_S:
                self._look(kitchen)
            if age_s <= STALE_S:
                return found
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                return await asyncio.shield(self._look(kitchen))
        except (Retryable, TimeoutError) as error:
            self._log.warning("kitchen not looked up", city=kitchen.city, error=repr(error))
            return found or self._unknown(kitchen)

    def forget(self, kitchen: Kitchen) -> None:
        """It changed: the next one to ask looks it up."""
        self._known.pop(kitchen, None)
        self._looking.pop(kitchen, None)

    def _look(self, kitchen: Kitchen) -> asyncio.Task[KnownKitchen]:
        """At most one look-up a kitchen is under way."""
        if kitchen not in self._looking:
            task = asyncio.create_task(self._looked_up(kitchen))
            self._looking[kitchen] = task
            task.add_done_callback(lambda done: self._found(kitchen, done))
        return self._looking[kitchen]

    def _found(self, kitchen: Kitchen, done: asyncio.Task[KnownKitchen]) -> None:
        if self._looking.get(kitchen) is not done:
            return  # it changed meanwhile
        del self._looking[kitchen]
        if done.cancelled() or done.exception() is not None:
            return  # what is known stays; the next one to ask tries again
        self._known[kitchen] = done.result()
        if len(self._known) > MAX_KITCHENS:
            self._known.popitem(last=False)

    async def _looked_up(self, kitchen: Kitchen) -> KnownKitchen:
        chosen, cooked = await asyncio.gather(self._store.auto_accept(kitchen), self._store.cooked(kitchen, HISTORY))
        unknown = self._unknown(kitchen)
        auto_accept = unknown.auto_accept if chosen is None else chosen
        samples = [self._sample(kitchen.city, order) for order in cooked]
        return KnownKitchen(kitchen.city, auto_accept, samples, self._hour_of, self._clock.monotonic_s())

    def _sample(self, city: str, order: CookedOrder) -> PaceSample:
        took_s = (order.cooked_ms - order.accepted_ms) / 1000
        return PaceSample(self._hour_of(city, order.accepted_ms), order.said_s, took_s)

    def _unknown(self, kitchen: Kitchen) -> KnownKitchen:
        return KnownKitchen(kitchen.city, kitchen.city not in self._asked, (), self._hour_of, self._clock.monotonic_s())
