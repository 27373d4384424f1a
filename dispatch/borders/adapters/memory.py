"""Loans of riders in memory; for tests and simulations. Same promises as the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dispatch.borders.borrow_choice import SharedView
from dispatch.borders.ports import LoanRow
from dispatch.engine.forwarding import ForwardedMessage
from dispatch.engine.model import Loan, Rider, RiderId
from dispatch.logs import loan_events
from dispatch.logs.adapters.memory import MemoryLog
from dispatch.shard.adapters.memory import MemoryDecisionLog
from dispatch.shard.errors import DoubleAssignment
from dispatch.shard.ports import TickCommit
from node.errors import Retryable
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from shard_router.topology import Ownership


class MemoryLoanBook(MemoryDecisionLog):
    """`LoanBook`, written by the ticks of all cities: a `DecisionLog` too. `epochs` says who owns a city now."""

    def __init__(self, epochs: Mapping[str, int], owns: Callable[[Ownership], bool] = lambda _: True) -> None:
        super().__init__(owns)
        self._epochs = epochs
        self.rows: dict[str, LoanRow] = {}

    async def commit(self, tick: TickCommit) -> None:
        lent = [r for r in tick.changes.riders if r.lent and r.loan is not None and r.loan.loan_id not in self.rows]
        on_loan = {row.rider.rider_id for row in self.rows.values()}
        if any(rider.rider_id in on_loan for rider in lent):
            raise DoubleAssignment("a rider is on another loan")
        await super().commit(tick)
        for rider in lent:
            assert rider.loan is not None
            gone = self._epochs.get(rider.loan.borrower) != rider.loan.borrower_epoch
            self.rows[rider.loan.loan_id] = LoanRow(rider, rider.loan, gone, 0)
        for rider in tick.changes.riders:
            if rider.returned and rider.loan is not None:
                await self.give_back(rider.loan.loan_id, rider.rested_ms)

    async def of_borrower(self, city: str) -> Sequence[LoanRow]:
        return [row for row in self.rows.values() if row.loan.borrower == city and not row.returned]

    async def of_home(self, city: str) -> Sequence[LoanRow]:
        return [row for row in self.rows.values() if row.loan.home == city and row.returned]

    async def give_back(self, loan_id: str, free_ms: int) -> None:
        row = self.rows.get(loan_id)
        if row is not None and not row.returned:
            self.rows[loan_id] = replace(row, returned=True, free_ms=free_ms)

    async def forget(self, loan_id: str) -> None:
        row = self.rows.get(loan_id)
        if row is not None and row.returned:
            del self.rows[loan_id]


class MemoryBorderLogs:
    """`BorderLogs` on a `MemoryLog`. With `away` it refuses, as a broker that is down."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self.away = False

    async def asked(self, home_partition: int, rider_id: RiderId, loan: Loan) -> None:
        await self._event(home_partition, loan_events.lent_event(rider_id, loan, 0))

    async def granted(self, rider: Rider, loan: Loan) -> None:
        await self._event(loan.borrower_partition, loan_events.borrowed_event(rider, loan, 0))

    async def ended(self, home_partition: int, rider_id: RiderId, loan: Loan, free_ms: int) -> None:
        await self._event(home_partition, loan_events.returned_event(rider_id, loan, free_ms, 0))

    async def forward(self, messages: Sequence[ForwardedMessage]) -> None:
        for event_id, item, loan in messages:
            await self._event(loan.borrower_partition, loan_events.forwarded_event(event_id, item, loan.borrower, 0))

    async def fixes(self, loan: Loan, fixes: FixColumns) -> None:
        self._check()
        await self._log.append_pings(loan.borrower_partition, encode_fixes(loan.borrower, fixes, "memory", 0))

    async def _event(self, partition: int, event: CityEvent) -> None:
        self._check()
        await self._log.append_event(partition, event.SerializeToString())

    def _check(self) -> None:
        if self.away:
            raise Retryable("the broker is away", reason="KAFKA_AWAY")


class MemoryNeighbours:
    """`Neighbours` of cities that run in this process; one that does not run is away."""

    def __init__(
        self, views: Mapping[str, Callable[[str], SharedView]], lends: Mapping[str, Callable[[RiderId, Loan], bool]]
    ) -> None:
        self._views = views
        self._lends = lends
        self.asked: list[tuple[RiderId, Loan]] = []

    async def view(self, city: str, borrower: str) -> SharedView:
        if city not in self._views:
            raise Retryable(f"nobody runs {city}", reason="NEIGHBOUR_AWAY")
        return self._views[city](borrower)

    async def lend(self, rider_id: RiderId, loan: Loan) -> bool:
        if loan.home not in self._lends:
            raise Retryable(f"nobody runs {loan.home}", reason="NEIGHBOUR_AWAY")
        self.asked.append((rider_id, loan))
        return self._lends[loan.home](rider_id, loan)
