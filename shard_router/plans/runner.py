"""Apply plans, one move at a time, each to its end. All state is in the store, so any router may go on with a plan."""

from __future__ import annotations

from dataclasses import replace

import structlog

from node.errors import FornoError, Retryable
from node.retry import every, warned
from shard_router.errors import MoveRefused
from shard_router.plans.plan import Plan, PlanState, Step, StepState, emptied, empty
from shard_router.plans.ports import PlanStore
from shard_router.ports import RouterStore
from shard_router.topology import CityMap, Move, MoveState

LOOK_EVERY_S = 0.3
#: Moves looked through for the one of a step: they are made one at a time.
_RECENT = 50


class PlanRunner:
    """Makes the moves of the plan that runs. Two routers that do so at once ask for the same moves: no harm done."""

    def __init__(self, store: RouterStore, plans: PlanStore, log: structlog.stdlib.BoundLogger) -> None:
        self._store = store
        self._plans = plans
        self._log = log

    async def run(self) -> None:
        """Looks and acts until cancelled."""
        await every(LOOK_EVERY_S, self._look_for_plan, warned(self._log, "plan waits"))

    async def _look_for_plan(self) -> None:
        plan = await self._plans.running_plan()
        if plan is not None:
            await self.advance(plan)

    async def advance(self, plan: Plan) -> None:
        """One look: ends the step whose move has ended, begins the next one, ends the plan. Idempotent.

        A drain ends when its shard is empty: what came to it after the plan was made, or was moving then, gets a step.
        """
        map_ = await self._store.read_map()
        for number, step in enumerate(plan.steps):
            if step.state in (StepState.DONE, StepState.SKIPPED):
                continue
            fresh = await self._look(step, map_)
            if fresh != step:
                await self._plans.set_step(plan.plan_id, number, fresh)
            if fresh.state is StepState.FAILED:
                self._log.warning("plan stopped", plan=plan.plan_id, city=step.city, reason=fresh.reason)
                await self._plans.set_plan(plan.plan_id, PlanState.STOPPED, f"{step.city}: {fresh.reason}")
            if fresh.state in (StepState.MOVING, StepState.FAILED):
                return
        drained = map_.shards.get(plan.drains or "")
        if drained is None or not drained.draining or emptied(map_, drained.shard_id):
            await self._plans.set_plan(plan.plan_id, PlanState.DONE)
            return
        try:
            missing = empty(map_, drained.shard_id)
        except MoveRefused as error:
            await self._plans.set_plan(plan.plan_id, PlanState.STOPPED, str(error))
            return
        if missing:
            await self._plans.add_steps(plan.plan_id, len(plan.steps), missing)

    async def _look(self, step: Step, map_: CityMap) -> Step:
        """The step as it is now; begun, if it was waiting and its city is where the plan thought."""
        if step.state is StepState.MOVING:
            return after(step, {move.move_id: move for move in await self._store.moves(_RECENT)}, map_)
        entry = map_.cities.get(step.city)
        if entry is None or entry.owner != step.from_shard:
            where = (entry.owner or "nobody") if entry is not None else "no map"
            return replace(step, state=StepState.SKIPPED, reason=f"it is with {where} by now")
        try:
            asked = await self._store.request_move(step.city, step.to_shard, "plan")
        except Retryable:
            raise
        except FornoError as error:
            return replace(step, state=StepState.FAILED, reason=str(error))
        move_id = asked.move.move_id if asked.move is not None else None
        return replace(step, state=StepState.MOVING, move_id=move_id)


def after(step: Step, moves: dict[int, Move], map_: CityMap) -> Step:
    """A step that is moving, by what has become of its move."""
    move = moves.get(step.move_id or 0)
    if move is None:
        here = map_.cities[step.city].owner == step.to_shard
        return replace(
            step, state=StepState.DONE if here else StepState.FAILED, reason="" if here else "its move is gone"
        )
    if move.state is MoveState.DONE:
        return replace(step, state=StepState.DONE, reason=move.reason)
    if move.state is MoveState.FAILED:
        return replace(step, state=StepState.FAILED, reason=move.reason)
    return step
