"""Coquimbo and La Serena on memory adapters under a manual clock, with apps of riders who live in Coquimbo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import structlog

from dispatch.borders.adapters.memory import MemoryBorderLogs, MemoryLoanBook, MemoryNeighbours
from dispatch.borders.borrow_choice import may_be_lent
from dispatch.borders.loan_exchange import LoanDependencies, LoanExchange, view_for
from dispatch.borders.reach import NeighbourReach
from dispatch.engine.model import Loan, Offer, OrderStatus, Rider, RiderId
from dispatch.engine.params import EngineParams, LoanParams, OfferParams, ServiceParams, SolverParams
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.logs.adapters.memory import MemoryCityLogs, MemoryLog
from dispatch.shard.adapters.lessons import MemoryLessonStore
from dispatch.shard.adapters.memory import MemoryAnnouncements
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.runner import CityRunner
from dispatch.shard.solver import InlineSolver
from node.clock import ManualClock
from node.outbox.memory import MemoryPublisher
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2
from proto.fix_messages import encode_fixes
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.cities.catalogue import load_cities
from tests.unit.dispatch.shard.worlds import DOWNTOWN, NOON_MS, fixes, ownership

HOME, BORROWER = "coquimbo", "la-serena"
PARTITIONS = {HOME: 1, BORROWER: 2}
STEP_E7 = 10_000
GROUND = NeighbourReach(load_cities()[:2])
PARAMS = EngineParams(
    service=ServiceParams(2.0, 2.0),
    offers=OfferParams(timeout_s=20.0, cooldown_s=5.0),
    loans=LoanParams(idle_s=10.0),
    solver=SolverParams(strategy="assignment"),
)


@dataclass(slots=True)
class Owner:
    """A city in the memory of a shard."""

    runner: CityRunner
    exchange: LoanExchange


@dataclass(slots=True)
class TwoCities:
    """Both cities, their log and database. A city whose owner was killed is in nobody's memory until it is taken."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON_MS))
    log: MemoryLog = field(default_factory=MemoryLog)
    epochs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    owners: dict[str, Owner] = field(default_factory=dict)
    said: int = 0
    book: MemoryLoanBook = field(init=False)
    logs: MemoryBorderLogs = field(init=False)

    def __post_init__(self) -> None:
        self.book = MemoryLoanBook(self.epochs, lambda own: self.epochs[own.city] == own.epoch)
        self.logs = MemoryBorderLogs(self.log)

    async def take(self, city: str) -> None:
        """A new owner, in the next epoch."""
        self.epochs[city] += 1
        self.owners.pop(city, None)
        announcements, solver = MemoryAnnouncements(), InlineSolver(FreeFlowTravel())
        dependencies = Dependencies(
            clock=self.clock,
            log=structlog.get_logger(),
            solver=solver,
            params=PARAMS,
            logs_of=lambda name: MemoryCityLogs(self.log, name),
            decision_log=self.book,
            outbox_of=self.book.outbox_of,
            lessons=MemoryLessonStore(),
            publisher=MemoryPublisher(),
            announcements=announcements,
            views_of=lambda _: (),
            tick_period_ms=1000,
            forward=self.logs.forward,
        )
        runner = await CityRunner.load(ownership(city, self.epochs[city], PARTITIONS[city]), dependencies, lambda: True)
        loans = LoanDependencies(
            book=self.book,
            logs=self.logs,
            neighbours=self._neighbours(),
            announcements=announcements,
            solver=solver,
            params=PARAMS,
            clock=self.clock,
        )
        exchange = LoanExchange(runner.city, loans, lambda: GROUND, structlog.get_logger())
        self.owners[city] = Owner(runner, exchange)

    async def tick(self, city: str, ms: int = 1000) -> None:
        """Time goes on, and if somebody owns the city, it reads its logs and ticks."""
        self.clock.advance(ms)
        owner = self.owners.get(city)
        if owner is None:
            return
        await self.flush(city)
        await owner.runner.ticker.tick()

    async def flush(self, city: str) -> None:
        """Reads a city's logs to their ends."""
        runner = self.owners[city].runner
        while runner.city.ingested.read != await runner.logs.ends():
            runner.ingest.take(await runner.logs.read(0.0))

    async def step(self, city: str) -> None:
        """One round of the city's loan exchange."""
        if city in self.owners:
            await self.owners[city].exchange.step()
            await self._write_asked()

    async def status(self, rider: int, status: Any, order_id: str = "") -> None:
        """What a rider's app says, to its home city."""
        self.said += 1
        update = link.StatusUpdate(
            seq=self.said, status=status, order_id=order_id, ts_ms=self.clock.domain_ms(), capacity=2
        )
        changed = city_event_pb2.RiderStatusChanged(rider_id=rider, session=1, status=update)
        await self._event(HOME, f"said-{self.said}", rider_status=changed)

    async def fix(self, rider: int, north: int) -> None:
        """Where a rider is, steps north of downtown La Serena; the border is at -46."""
        self.said += 1
        columns = fixes({rider: (STEP_E7 * north, 0)}, seq=self.said, ts_ms=self.clock.domain_ms())
        await self.log.append_pings(PARTITIONS[HOME], encode_fixes(HOME, columns, "edge", 0))

    async def open_order(self, city: str, order_id: str, north: int) -> None:
        """An order whose food is ready, from a counter there to a door two steps north of it."""
        now_ms = self.clock.domain_ms()
        at = LatLng(lat_e7=DOWNTOWN.lat_e7 + STEP_E7 * north, lng_e7=DOWNTOWN.lng_e7)
        door = LatLng(lat_e7=at.lat_e7 + 2 * STEP_E7, lng_e7=at.lng_e7)
        opened = city_event_pb2.OrderOpened(
            order_id=order_id,
            restaurant_id=f"counter {north}",
            pickup=at,
            dropoff=door,
            placed_ms=now_ms,
            ready_ms=now_ms,
            promised_ms=now_ms + 1_800_000,
        )
        await self._event(city, f"open-{order_id}", order_opened=opened)

    async def reply(self, offer: Offer, *, accepted: bool) -> None:
        """A rider's answer, to its home city."""
        self.said += 1
        reply = link.OfferReply(seq=self.said, offer_id=offer.offer_id, accepted=accepted, ts_ms=self.clock.domain_ms())
        replied = city_event_pb2.RiderReplied(rider_id=offer.rider_id, session=1, reply=reply)
        await self._event(HOME, f"said-{self.said}", rider_replied=replied)

    def rider(self, city: str, rider: int) -> Rider | None:
        """A rider as the city's owner has it in memory."""
        return self.owners[city].runner.city.state.riders.get(RiderId(rider))

    def offers(self) -> list[Offer]:
        """Live offers of both cities."""
        return [offer for owner in self.owners.values() for offer in owner.runner.city.state.offers.values()]

    def waiting(self) -> list[str]:
        """Orders that are not delivered."""
        return sorted(o.order_id for o in self.book.orders.values() if o.status is not OrderStatus.DELIVERED)

    async def _event(self, city: str, event_id: str, **kind: Any) -> None:
        message = city_event_pb2.CityEvent(event_id=event_id, city=city, **kind)
        await self.log.append_event(PARTITIONS[city], message.SerializeToString())

    def _neighbours(self) -> MemoryNeighbours:
        def view(city: str) -> Any:
            return lambda borrower: view_for(self.owners[city].runner.city, borrower, GROUND, self.clock.domain_ms())

        def lend(city: str) -> Any:
            def asked(rider_id: RiderId, loan: Loan) -> bool:
                rider = self.rider(city, rider_id)
                taken = rider is not None and may_be_lent(rider)
                if taken:
                    self._asked.append((rider_id, loan))
                return taken

            return asked

        return _Running(self, {city: view(city) for city in PARTITIONS}, {city: lend(city) for city in PARTITIONS})

    _asked: list[tuple[RiderId, Loan]] = field(default_factory=list)

    async def _write_asked(self) -> None:
        """What the Borders service of the home city does with a question."""
        asked, self._asked = self._asked, []
        for rider_id, loan in asked:
            await self.logs.asked(PARTITIONS[loan.home], rider_id, loan)


class _Running(MemoryNeighbours):
    """Only a city that somebody owns just now answers."""

    def __init__(self, world: TwoCities, views: Any, lends: Any) -> None:
        super().__init__(_Owned(world, views), _Owned(world, lends))


class _Owned(dict[str, Any]):
    def __init__(self, world: TwoCities, by_city: dict[str, Any]) -> None:
        super().__init__(by_city)
        self._world = world

    def __contains__(self, city: object) -> bool:
        return city in self._world.owners
