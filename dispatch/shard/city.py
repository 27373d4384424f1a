"""One city in the memory of its shard. Changed on the event loop only; what was decided, by committed ticks only."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dispatch.engine.intake import LogEvent
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId
from dispatch.engine.state import CityState
from dispatch.logs.cut import Applied, Cut
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
class Carried:
    """An order on its way with a rider, as its customer's screen needs it."""

    order_id: OrderId
    eta_ms: int
    picked_up: bool


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Riders whose fixes somebody waits for: those with orders. `rider_ids` is sorted."""

    rider_ids: Ids = field(default_factory=lambda: np.zeros(0, np.uint64))
    orders: Mapping[int, tuple[Carried, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class City:
    """What an owner holds. `read` is how far both logs were read; events up to `taken` were given to ticks.

    `first` is where the present range without holes began; together with the cut it is what the audit tiles.
    """

    ownership: Ownership
    memory: CityMemory
    holdings: Holdings
    tick: int
    read: Cut
    first: Cut
    taken_offset: int
    seen: SeenIds
    #: A rider whose last fix is older (domain time) counts as out of sight.
    stale_after_ms: int
    positions: RiderPositions = field(default_factory=RiderPositions)
    heard: deque[LogEvent] = field(default_factory=deque)
    watched: Watched = field(default_factory=Watched)
    #: Tick in which a rider's route changed last, since the city was taken.
    route_ticks: dict[RiderId, int] = field(default_factory=dict)
    #: The last orders that ended, for the ops map.
    ended: deque[Order] = field(default_factory=lambda: deque(maxlen=ENDED_SHOWN))
    #: The tick that the city was taken after: every route is at least of this version.
    first_tick: int = 0
    counters: Counters = field(default_factory=Counters)

    @property
    def name(self) -> str:
        return self.ownership.city

    @property
    def state(self) -> CityState:
        """Orders, riders and offers as of the last tick."""
        return self.memory.state

    @property
    def epoch(self) -> int:
        return self.ownership.epoch

    def applied(self, events_offset: int) -> Applied:
        """What has been applied, if ticks have taken the events up to an offset."""
        pings_offset = max(self.read.pings_offset, self.first.pings_offset)
        return Applied(self.first, Cut(self.read.incarnation, self.read.partition, pings_offset, events_offset))

    def watch_carried(self) -> None:
        """Works out anew whose fixes are waited for; after a commit."""
        orders: dict[int, tuple[Carried, ...]] = {}
        for rider in self.state.riders.values():
            carried = tuple(c for order_id in rider.order_ids if (c := self._carried(order_id)) is not None)
            if carried:
                orders[rider.rider_id] = carried
        self.watched = Watched(np.array(sorted(orders), np.uint64), orders)

    def _carried(self, order_id: OrderId) -> Carried | None:
        order = self.state.orders.get(order_id)
        if order is None or order.status not in (OrderStatus.ASSIGNED, OrderStatus.PICKED_UP):
            return None
        eta = self.memory.etas.get(order_id)
        return Carried(order_id, eta.median_ms if eta else 0, order.status is OrderStatus.PICKED_UP)
