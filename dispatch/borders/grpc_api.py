"""The Borders service, and what the home city of a lent rider tells its app of the borrower's offers and route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import grpc.aio

from dispatch.borders.borrow_choice import may_be_lent
from dispatch.borders.loan_exchange import view_for
from dispatch.borders.ports import BorderLogs
from dispatch.borders.reach import NeighbourReach
from dispatch.borders.wire import view_message
from dispatch.engine.model import LoanState, RiderId
from dispatch.logs.loan_events import loan_value
from dispatch.shard.live_city import LiveCity
from dispatch.shard.route_version import RouteVersion
from dispatch.shard.shard import Shard
from node.clock import Clock
from node.errors import FornoError
from proto.dispatch.v1 import borders_pb2 as pb
from proto.dispatch.v1 import dispatch_pb2
from proto.dispatch.v1.borders_pb2_grpc import BordersServicer
from shard_router.client import Directory

SERVICE = "dispatch.v1.Borders"
#: The borrower's owner has so long to say what a lent rider should do, wall seconds.
_ANSWER_S = 1.0


class LoansApi(BordersServicer):
    """Serves the loans that neighbours ask of cities of this shard."""

    def __init__(self, shard: Shard, reach: Callable[[], NeighbourReach], logs: BorderLogs, clock: Clock) -> None:
        self._shard = shard
        self._reach = reach
        self._logs = logs
        self._clock = clock

    async def ViewCity(self, request: pb.ViewCityRequest, context: Any) -> pb.ViewCityResponse:  # noqa: N802
        city = self._shard.city(request.city)
        view = view_for(city, request.borrower, self._reach(), self._clock.domain_ms())
        return await asyncio.to_thread(view_message, view, city.epoch)

    async def LendRider(self, request: pb.LendRiderRequest, context: Any) -> pb.LendRiderResponse:  # noqa: N802
        city = self._shard.city(request.city)
        rider = city.state.riders.get(RiderId(request.loan.rider_id))
        if rider is None:
            return pb.LendRiderResponse(reason="unknown")
        if rider.loan is not None and rider.loan.loan_id == request.loan.loan_id:
            return pb.LendRiderResponse(asked=True)
        if not may_be_lent(rider):
            return pb.LendRiderResponse(reason="on_loan" if rider.lent or rider.borrowed else "busy")
        loan = loan_value(request.loan, LoanState.LENT)
        await self._logs.asked(city.ownership.partition, rider.rider_id, loan)
        return pb.LendRiderResponse(asked=True)


class LentRiders:
    """Tasks of a city's riders who are on loan, as their borrowers' owners tell them.

    While an owner does not answer, what it said last holds: an app must not be told that an offer is gone because a
    shard is.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._last: dict[tuple[str, int], dispatch_pb2.RiderTasks] = {}

    async def tasks(self, city: LiveCity, rider_ids: Iterable[int] | None = None) -> dict[int, dispatch_pb2.RiderTasks]:
        """Tasks by rider; of those lent only."""
        wanted = None if rider_ids is None else set(rider_ids)
        lent: dict[str, list[int]] = {}
        for rider in city.state.riders.values():
            if rider.lent and rider.loan is not None and (wanted is None or rider.rider_id in wanted):
                lent.setdefault(rider.loan.borrower, []).append(rider.rider_id)
        known = {rider for riders in lent.values() for rider in riders}
        if wanted is None:
            self._last = {key: t for key, t in self._last.items() if key[0] != city.name or key[1] in known}
        for borrower, riders in lent.items():
            await self._ask(city, borrower, riders)
        return {rider: task for rider in known if (task := self._last.get((city.name, rider))) is not None}

    async def _ask(self, city: LiveCity, borrower: str, riders: list[int]) -> None:
        request = dispatch_pb2.RiderTasksRequest(city=borrower, rider_ids=riders)
        tick = city.committed.tick  # before asking: a rider who comes home meanwhile has a newer route there
        try:
            async with asyncio.timeout(_ANSWER_S):
                answer = await self._directory.ask(borrower, lambda shard: shard.RiderTasks(request, timeout=_ANSWER_S))
        except (grpc.aio.AioRpcError, FornoError, TimeoutError):
            return
        for task in answer.tasks:
            task.route.version = int(RouteVersion.of(task.route.version).lent_by(tick))
            self._last[city.name, task.rider_id] = task
