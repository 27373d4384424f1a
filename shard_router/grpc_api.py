"""gRPC of the shard router: the map and its changes, moves, plans, the audit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from statistics import median
from typing import Any

import structlog

from node.errors import Invalid, Retryable
from node.retry import every, warned
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterServicer
from shard_router.audit.checks import CHECKS, Audit
from shard_router.errors import MoveRefused, PlanRefused, UnknownCity
from shard_router.plans.move_checks import check_drain
from shard_router.plans.plan import (
    NOTHING,
    Plan,
    PlanState,
    balance,
    burdens,
    check_none_runs,
    default_target,
    emptied,
    empty,
    moved,
)
from shard_router.plans.ports import PlanStore
from shard_router.plans.wire import plan_message
from shard_router.ports import MapStore, RouterStore
from shard_router.topology import CityMap
from shard_router.wire import city_message, map_message, move_message

#: The map is read this often when nothing tells of a change: notices dead shards, and lost notifications.
POLL_S = 0.5
#: A watcher hears at least this often, as a sign of life.
SIGN_OF_LIFE_S = 2.0
#: Moves that are listed, and over which the cost of a move is taken.
MOVES_SHOWN = 20
#: Moves of the longest list: some 300 kB of the 4 MiB that a client takes.
MAX_MOVES = 1_000


class MapFeed:
    """One reader of the map for all watchers."""

    def __init__(self, store: MapStore, log: structlog.stdlib.BoundLogger) -> None:
        self._store = store
        self._log = log
        self._map: CityMap | None = None
        self._gist: tuple[object, ...] = ()
        self._news = asyncio.Condition()
        self._poke = asyncio.Event()

    async def run(self) -> None:
        """Reads the map upon notification and every `POLL_S`, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            while True:
                self._poke.clear()
                try:
                    fresh = await self._store.read_map()
                except Retryable as error:
                    self._log.warning("cannot read the map", error=str(error))
                else:
                    async with self._news:
                        self._map, self._gist = fresh, _gist(fresh)
                        self._news.notify_all()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._poke.wait()

    async def _listen(self) -> None:
        await every(POLL_S, self._follow_changes, warned(self._log, "no notice of changes; the map is polled"))

    async def _follow_changes(self) -> None:
        async with self._store.changes() as names:
            async for _ in names:
                self._poke.set()

    async def maps(self) -> AsyncIterator[CityMap]:
        """The map now, after each change of a city or of a shard's life, and every `SIGN_OF_LIFE_S`."""
        loop = asyncio.get_running_loop()
        sent, said_s = None, 0.0
        while True:
            async with self._news:
                if self._map is None or self._gist == sent:
                    await self._news.wait()
                fresh, gist = self._map, self._gist
            if fresh is not None and (gist != sent or loop.time() - said_s >= SIGN_OF_LIFE_S):
                sent, said_s = gist, loop.time()
                yield fresh


def _gist(map_: CityMap) -> tuple[object, ...]:
    """Fields whose change is sent at once; loads and ages can wait for the sign of life.

    Owners beside the version: a change may come true under a smaller version than one that was told (`CityMap`).
    """
    owned = ((city.city, city.owner, city.epoch) for city in map_.cities.values())
    moving = ((city.city, city.move, city.behind) for city in map_.cities.values() if city.move is not None)
    return (
        map_.version,
        *((s.shard_id, s.address, s.alive, s.draining) for s in map_.shards.values()),
        *owned,
        *moving,
    )


class ShardRouterApi(ShardRouterServicer):
    """Translates, calls the stores, maps errors."""

    def __init__(
        self, store: RouterStore, plans: PlanStore, feed: MapFeed, auditor: Callable[[], Awaitable[Audit]]
    ) -> None:
        self._store = store
        self._plans = plans
        self._auditor = auditor
        self._feed = feed

    async def GetMap(self, request: pb.GetMapRequest, context: Any) -> pb.GetMapResponse:  # noqa: N802
        return map_message(await self._store.read_map())

    async def WatchMap(self, request: pb.WatchMapRequest, context: Any) -> AsyncIterator[pb.WatchMapResponse]:  # noqa: N802
        async for map_ in self._feed.maps():
            yield pb.WatchMapResponse(map=map_message(map_))

    async def MoveCity(self, request: pb.MoveCityRequest, context: Any) -> pb.MoveCityResponse:  # noqa: N802
        entry = await self._store.request_move(request.city, request.to_shard, request.actor)
        return pb.MoveCityResponse(city=city_message(entry))

    async def CancelMove(self, request: pb.CancelMoveRequest, context: Any) -> pb.CancelMoveResponse:  # noqa: N802
        entry = (await self._store.read_map()).cities.get(request.city)
        if entry is None:
            raise UnknownCity(request.city)
        if entry.move is None or not await self._store.fail_move(entry.move.move_id, "called off", request.actor):
            raise MoveRefused(f"{request.city} has no move that could be called off", reason="NO_MOVE")
        return pb.CancelMoveResponse()

    async def ListMoves(self, request: pb.ListMovesRequest, context: Any) -> pb.ListMovesResponse:  # noqa: N802
        if request.limit > MAX_MOVES:
            raise Invalid("limit", f"must be within 0..{MAX_MOVES}, got {request.limit}", reason="OUT_OF_RANGE")
        moves = await self._store.moves(request.limit or MOVES_SHOWN)
        return pb.ListMovesResponse(moves=[move_message(move) for move in moves])

    async def MakePlan(self, request: pb.MakePlanRequest, context: Any) -> pb.MakePlanResponse:  # noqa: N802
        map_ = await self._store.read_map()
        target = request.target or default_target(map_)
        steps = await asyncio.to_thread(balance, map_, target)
        plan = await self._plans.save_plan(steps, None, request.actor) if steps else NOTHING
        before, after = burdens(map_), burdens(moved(map_, steps))
        done = [move for move in await self._store.moves(MOVES_SHOWN) if move.gap_ms is not None]
        return pb.MakePlanResponse(
            plan=plan_message(plan),
            target=target,
            burdens=[pb.ShardBurden(shard_id=name, before=before[name], after=after[name]) for name in sorted(before)],
            warm_up_ms=median([move.warm_ms - move.asked_ms for move in done if move.warm_ms] or [0]),
            gap_ms=median([move.gap_ms or 0.0 for move in done] or [0]),
        )

    async def SetDraining(self, request: pb.SetDrainingRequest, context: Any) -> pb.SetDrainingResponse:  # noqa: N802
        shard_id, plan = request.shard_id, NOTHING
        if request.draining:
            check_drain(await self._store.read_map(), shard_id)
            check_none_runs(await self._plans.running_plan())
        await self._plans.set_draining(shard_id, request.draining, request.actor)
        map_ = await self._store.read_map()
        if request.draining and not emptied(map_, shard_id):
            # Perhaps without steps: what is moving now is waited for.
            plan = await self._plans.save_plan(empty(map_, shard_id), shard_id, request.actor)
        return pb.SetDrainingResponse(plan=plan_message(plan))

    async def ApplyPlan(self, request: pb.ApplyPlanRequest, context: Any) -> pb.ApplyPlanResponse:  # noqa: N802
        plan = await self._plan(request.plan_id)
        return pb.ApplyPlanResponse(plan=plan_message(await self._plans.set_plan(plan.plan_id, PlanState.RUNNING)))

    async def StopPlan(self, request: pb.StopPlanRequest, context: Any) -> pb.StopPlanResponse:  # noqa: N802
        running = await self._plans.running_plan()
        if running is None or request.plan_id not in (0, running.plan_id):
            raise PlanRefused("no such plan runs", reason="NO_PLAN_RUNS")
        stopped = await self._plans.set_plan(running.plan_id, PlanState.STOPPED, "stopped by ops")
        return pb.StopPlanResponse(plan=plan_message(stopped))

    async def GetPlan(self, request: pb.GetPlanRequest, context: Any) -> pb.GetPlanResponse:  # noqa: N802
        return pb.GetPlanResponse(plan=plan_message(await self._plan(request.plan_id)))

    async def _plan(self, plan_id: int) -> Plan:
        plan = await self._plans.plan(plan_id or None)
        if plan is None:
            raise PlanRefused(f"there is no plan {plan_id or ''}".strip(), reason="UNKNOWN_PLAN")
        return plan

    async def Audit(self, request: pb.AuditRequest, context: Any) -> pb.AuditResponse:  # noqa: N802
        done = await self._auditor()
        findings = [pb.AuditFinding(check=f.check, city=f.city, what=f.what) for f in done.findings]
        return pb.AuditResponse(checks=list(CHECKS), examined=done.examined, findings=findings, more=done.more)
