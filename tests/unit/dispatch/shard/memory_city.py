"""A city at work on memory adapters under a manual clock: a test reads, ticks and looks, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from dispatch.engine.model import OrderId, OrderStatus
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.logs.adapters.memory import MemoryCityLogs, MemoryLog
from dispatch.shard.adapters.lessons import MemoryLessonStore
from dispatch.shard.adapters.memory import MemoryAnnouncements, MemoryDecisionLog
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.runner import CityRunner
from dispatch.shard.solver import InlineSolver, Solving
from node.clock import ManualClock
from node.outbox.memory import MemoryPublisher
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.fix_messages import encode_fixes
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.dispatch.shard.worlds import DOWNTOWN, NOON_MS, fixes, ownership

CITY = "roma"
PARTITION = 3
#: Some 110 m.
STEP_E7 = 10_000


@dataclass(slots=True)
class MemoryCity:
    """The world around one city. `holds` is what the lease says."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON_MS))
    log: MemoryLog = field(default_factory=MemoryLog)
    decisions: MemoryDecisionLog = field(default_factory=MemoryDecisionLog)
    lessons: MemoryLessonStore = field(default_factory=MemoryLessonStore)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    announcements: MemoryAnnouncements = field(default_factory=MemoryAnnouncements)
    params: EngineParams = field(default_factory=EngineParams)
    solver: Solving = field(default_factory=lambda: InlineSolver(FreeFlowTravel()))
    holds: bool = True
    _events: int = 0

    async def owner(self, epoch: int = 1) -> CityRunner:
        """A new owner with the city in its memory."""
        dependencies = Dependencies(
            clock=self.clock,
            log=structlog.get_logger(),
            solver=self.solver,
            params=self.params,
            logs_of=lambda city: MemoryCityLogs(self.log, city),
            decision_log=self.decisions,
            lessons=self.lessons,
            outbox_of=self.decisions.outbox_of,
            publisher=self.publisher,
            announcements=self.announcements,
            views_of=lambda _: (),
            tick_period_ms=1000,
        )
        return await CityRunner.load(ownership(CITY, epoch, PARTITION), dependencies, lambda: self.holds)

    async def step(self, runner: CityRunner, ms: int = 1000) -> None:
        """Time goes on, the logs are read to their ends, one tick."""
        self.clock.advance(ms)
        await self.read(runner)
        await runner.ticker.tick()

    async def read(self, runner: CityRunner) -> None:
        """Reads both logs to their ends."""
        logs = runner.logs
        while runner.city.ingested.read != await logs.ends():
            runner.ingest.take(await logs.read(0.0))

    async def event(self, event_id: str | None = None, **kind: Any) -> str:
        """An event, and its id."""
        self._events += 1
        event_id = event_id or f"e-{self._events}"
        message = city_event_pb2.CityEvent(event_id=event_id, city=CITY, **kind)
        await self.log.append_event(PARTITION, message.SerializeToString())
        return event_id

    async def status(self, rider: int, status: Any, order_id: str = "", event_id: str | None = None) -> str:
        """What a rider's app says of itself."""
        self._events += 1
        update = link.StatusUpdate(
            seq=self._events, status=status, order_id=order_id, ts_ms=self.clock.domain_ms(), capacity=2
        )
        changed = city_event_pb2.RiderStatusChanged(rider_id=rider, session=1, status=update)
        return await self.event(event_id, rider_status=changed)

    async def online(self, places: Mapping[int, tuple[int, int]]) -> None:
        """Riders come on shift, so many steps north and east of downtown."""
        for rider in places:
            await self.status(rider, link.RIDER_STATUS_ONLINE)
        await self.fix(places)

    async def fix(self, places: Mapping[int, tuple[int, int]]) -> None:
        """A fix of each rider."""
        self._events += 1
        there = {rider: (STEP_E7 * north, STEP_E7 * east) for rider, (north, east) in places.items()}
        columns = fixes(there, seq=self._events, ts_ms=self.clock.domain_ms())
        await self.log.append_pings(PARTITION, encode_fixes(CITY, columns, "edge", self.clock.wall_ms()))

    async def open_order(self, order_id: str, door: tuple[int, int] = (10, 0), event_id: str | None = None) -> str:
        """An order of the restaurant downtown, ready now; the id of its event."""
        now_ms = self.clock.domain_ms()
        opened = city_event_pb2.OrderOpened(
            order_id=order_id,
            restaurant_id="trattoria",
            pickup=LatLng(lat_e7=DOWNTOWN.lat_e7, lng_e7=DOWNTOWN.lng_e7),
            dropoff=LatLng(lat_e7=DOWNTOWN.lat_e7 + STEP_E7 * door[0], lng_e7=DOWNTOWN.lng_e7 + STEP_E7 * door[1]),
            placed_ms=now_ms,
            ready_ms=now_ms,
            promised_ms=now_ms + 1_800_000,
        )
        return await self.event(event_id, order_opened=opened)

    async def reply(self, runner: CityRunner, *, accepted: bool) -> int:
        """Answers the one live offer; its rider."""
        (offer,) = runner.city.state.offers.values()
        self._events += 1
        reply = link.OfferReply(
            seq=self._events, offer_id=offer.offer_id, accepted=accepted, ts_ms=self.clock.domain_ms()
        )
        await self.event(rider_replied=city_event_pb2.RiderReplied(rider_id=offer.rider_id, session=1, reply=reply))
        return offer.rider_id


def status_of(runner: CityRunner, order_id: str) -> OrderStatus | None:
    """Where the order is, None once it has ended."""
    order = runner.city.state.orders.get(OrderId(order_id))
    return order.status if order is not None else None
