"""State of one city in memory. Changed on the event loop only; decisions by committed ticks only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from dispatch.engine.log_inputs import LogEvent
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId
from dispatch.engine.state import CityState
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.logs.seen_ids import SeenIds
from dispatch.positions import RiderPositions
from dispatch.positions.rows import Ids
from dispatch.shard.counters import Counters
from dispatch.shard.holdings import Holdings
from shard_router.topology import Ownership

#: Events waiting for a tick; with more, reading both logs pauses until a tick took some.
WAITING_EVENTS = 20_000
#: Ended orders kept for the ops map.
ENDED_SHOWN = 500


@dataclass(frozen=True, slots=True)
class CarriedOrder:
    """An order on its way with a rider, as its customer's page shows it."""

    order_id: OrderId
    eta_ms: int
    picked_up: bool


@dataclass(frozen=True, slots=True, eq=False)
class WatchedRiders:
    """Riders with orders, whose fixes are published. `rider_ids` is sorted."""

    rider_ids: Ids = field(default_factory=lambda: np.zeros(0, np.uint64))
    orders: Mapping[int, tuple[CarriedOrder, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Ingested:
    """State read from both logs. Written by `Ingest`; ticks take events, and place riders whom an event places."""

    #: How far both logs were read.
    read: Cut
    #: Where the present range without holes began; together with the cut it is what the audit tiles.
    first: Cut
    seen: SeenIds
    positions: RiderPositions = field(default_factory=RiderPositions)
    #: Events that wait for a tick.
    waiting: deque[LogEvent] = field(default_factory=deque)


@dataclass(slots=True)
class Committed:
    """State decided by ticks. Written by the `Ticker` after a commit; by the `Shadow` while another shard commits."""

    memory: CityMemory
    holdings: Holdings
    tick: int
    #: Events below it were given to ticks.
    taken_offset: int
    #: Last tick before this owner took the city: every route is at least of this version.
    taken_after_tick: int = 0
    #: Tick in which a rider's route changed last, since the city was taken.
    route_ticks: dict[RiderId, int] = field(default_factory=dict)
    #: The last orders that ended, for the ops map.
    ended: deque[Order] = field(default_factory=lambda: deque(maxlen=ENDED_SHOWN))


@dataclass(slots=True)
class LiveCity:
    """One city in memory, grouped by writer."""

    ownership: Ownership
    ingested: Ingested
    committed: Committed
    #: A rider whose last fix is older (domain time) counts as out of sight.
    stale_after_ms: int
    #: Worked out by `watch_carried`, for whoever looks.
    watched: WatchedRiders = field(default_factory=WatchedRiders)
    counters: Counters = field(default_factory=Counters)

    @property
    def name(self) -> str:
        return self.ownership.city

    @property
    def state(self) -> CityState:
        """Orders, riders and offers as of the last tick."""
        return self.committed.memory.state

    @property
    def epoch(self) -> int:
        return self.ownership.epoch

    def applied(self, events_offset: int) -> AppliedRange:
        """Offsets applied, if ticks have taken the events up to an offset."""
        read, first = self.ingested.read, self.ingested.first
        pings_offset = max(read.pings_offset, first.pings_offset)
        return AppliedRange(first, Cut(read.incarnation, read.partition, pings_offset, events_offset))

    @property
    def taken(self) -> AppliedRange:
        """Offsets applied as of the last tick."""
        return self.applied(self.committed.taken_offset)

    def begin_log(self, start: Cut) -> None:
        """Goes on with a log that replaced the one read so far, from its beginning.

        Waiting events come from a log that is gone: they still count, but their offsets mean nothing now.
        """
        self.ingested.first = self.ingested.read = start
        self.committed.taken_offset = start.events_offset
        self.ingested.waiting = deque(replace(event, offset=start.events_offset - 1) for event in self.ingested.waiting)

    def watch_carried(self) -> None:
        """Works out anew whose fixes are waited for; after a commit."""
        orders: dict[int, tuple[CarriedOrder, ...]] = {}
        for rider in self.state.riders.values():
            carried = tuple(c for order_id in rider.order_ids if (c := self._carried(order_id)) is not None)
            if carried:
                orders[rider.rider_id] = carried
        self.watched = WatchedRiders(np.array(sorted(orders), np.uint64), orders)

    def _carried(self, order_id: OrderId) -> CarriedOrder | None:
        order = self.state.orders.get(order_id)
        if order is None or order.status not in (OrderStatus.ASSIGNED, OrderStatus.PICKED_UP):
            return None
        eta = self.committed.memory.etas.get(order_id)
        return CarriedOrder(order_id, eta.median_ms if eta else 0, order.status is OrderStatus.PICKED_UP)
