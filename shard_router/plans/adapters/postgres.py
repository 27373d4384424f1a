"""Plans and shards under maintenance, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from node import postgres
from node.postgres import statements
from shard_router.errors import UnknownShard
from shard_router.plans.plan import Plan, PlanState, Step, StepState, check_plan

SQL = statements(__file__)


class PostgresPlanStore:
    """`PlanStore` on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def set_draining(self, shard_id: str, draining: bool, actor: str) -> None:
        async with postgres.session(self._pool) as session, session.transaction():
            if await session.execute(SQL.set_draining, shard_id, draining) == "UPDATE 0":
                known = await session.fetch(SQL.shard_ids)
                raise UnknownShard(shard_id, [row["shard_id"] for row in known])
            if draining:
                await session.execute(SQL.fail_coming, shard_id, actor)

    async def save_plan(self, steps: Sequence[Step], drains: str | None, actor: str) -> Plan:
        async with postgres.session(self._pool) as session, session.transaction():
            number: int = await session.fetchval(SQL.new_plan, drains, actor)
            await _add(session, number, 0, steps)
        return Plan(number, PlanState.PROPOSED, tuple(steps), drains, actor)

    async def plan(self, plan_id: int | None) -> Plan | None:
        async with postgres.session(self._pool) as session:
            return await _read(session, plan_id)

    async def running_plan(self) -> Plan | None:
        async with postgres.session(self._pool) as session:
            return await _running(session)

    async def set_plan(self, plan_id: int, state: PlanState, reason: str = "") -> Plan:
        async with postgres.session(self._pool) as session, session.transaction():
            await session.execute(SQL.lock_plans)
            check_plan(await _read(session, plan_id), plan_id, state, await _running(session))
            await session.execute(SQL.set_plan, plan_id, state, reason)
            if state is PlanState.RUNNING:
                await session.execute(SQL.again, plan_id)
            changed = await _read(session, plan_id)
        assert changed is not None
        return changed

    async def set_step(self, plan_id: int, number: int, step: Step) -> None:
        async with postgres.session(self._pool) as session:
            await session.execute(SQL.set_step, plan_id, number, step.state, step.reason, step.move_id)

    async def add_steps(self, plan_id: int, first: int, steps: Sequence[Step]) -> None:
        async with postgres.session(self._pool) as session, session.transaction():
            await session.execute(SQL.lock_plan, plan_id)
            if await session.fetchval(SQL.count_steps, plan_id) == first:
                await _add(session, plan_id, first, steps)


async def _add(session: Any, plan_id: int, first: int, steps: Sequence[Step]) -> None:
    rows = [
        (plan_id, number, s.city, s.from_shard, s.to_shard, s.riders, s.open_orders)
        for number, s in enumerate(steps, first)
    ]
    await session.executemany(SQL.new_step, rows)


async def _running(session: Any) -> Plan | None:
    number = await session.fetchval(SQL.running_plan)
    return await _read(session, number) if number is not None else None


async def _read(session: Any, plan_id: int | None) -> Plan | None:
    if plan_id is None:
        row = await session.fetchrow(SQL.last_plan)
    else:
        row = await session.fetchrow(SQL.one_plan, plan_id)
    if row is None:
        return None
    steps = [
        Step(**{**dict(s), "state": StepState(s["state"])}) for s in await session.fetch(SQL.steps, row["plan_id"])
    ]
    return Plan(row["plan_id"], PlanState(row["state"]), tuple(steps), row["drains"], row["actor"], row["reason"])
