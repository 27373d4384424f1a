"""Plans and shards under maintenance, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from node import postgres
from shard_router.errors import UnknownShard
from shard_router.plans import Plan, PlanState, Step, StepState, check_plan

_PLAN = "select plan_id, state, reason, drains, actor from router.plans"
_STEPS = """
select city, from_shard, to_shard, riders, open_orders, state, reason, move_id
from router.plan_steps where plan_id = $1 order by step
"""
_NEW_STEP = """
insert into router.plan_steps (plan_id, step, city, from_shard, to_shard, riders, open_orders)
values ($1, $2, $3, $4, $5, $6, $7)
"""
_FAIL_COMING = """
select router.fail_move(move_id, $1 || ' is being drained', $2)
from router.moves where to_shard = $1 and ended_at is null and state <> 'released'
"""
_AGAIN = (
    "update router.plan_steps set state = 'waiting', reason = '' where plan_id = $1 and state in ('failed', 'skipped')"
)


class PostgresPlanStore:
    """`PlanStore` on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def set_draining(self, shard_id: str, draining: bool, actor: str) -> None:
        async with postgres.session(self._pool) as session, session.transaction():
            what = "update router.shards set draining = $2 where shard_id = $1"
            if await session.execute(what, shard_id, draining) == "UPDATE 0":
                known = await session.fetch("select shard_id from router.shards")
                raise UnknownShard(shard_id, [row["shard_id"] for row in known])
            if draining:
                await session.execute(_FAIL_COMING, shard_id, actor)

    async def save_plan(self, steps: Sequence[Step], drains: str | None, actor: str) -> Plan:
        async with postgres.session(self._pool) as session, session.transaction():
            new = "insert into router.plans (drains, actor) values ($1, $2) returning plan_id"
            number: int = await session.fetchval(new, drains, actor)
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
            await session.execute("lock table router.plans in share row exclusive mode")
            check_plan(await _read(session, plan_id), plan_id, state, await _running(session))
            change = "update router.plans set state = $2, reason = $3 where plan_id = $1"
            await session.execute(change, plan_id, state, reason)
            if state is PlanState.RUNNING:
                await session.execute(_AGAIN, plan_id)
            changed = await _read(session, plan_id)
        assert changed is not None
        return changed

    async def set_step(self, plan_id: int, number: int, step: Step) -> None:
        async with postgres.session(self._pool) as session:
            change = (
                "update router.plan_steps set state = $3, reason = $4, move_id = $5 where plan_id = $1 and step = $2"
            )
            await session.execute(change, plan_id, number, step.state, step.reason, step.move_id)

    async def add_steps(self, plan_id: int, first: int, steps: Sequence[Step]) -> None:
        async with postgres.session(self._pool) as session, session.transaction():
            await session.execute("select from router.plans where plan_id = $1 for update", plan_id)
            count = "select count(*) from router.plan_steps where plan_id = $1"
            if await session.fetchval(count, plan_id) == first:
                await _add(session, plan_id, first, steps)


async def _add(session: Any, plan_id: int, first: int, steps: Sequence[Step]) -> None:
    rows = [
        (plan_id, number, s.city, s.from_shard, s.to_shard, s.riders, s.open_orders)
        for number, s in enumerate(steps, first)
    ]
    await session.executemany(_NEW_STEP, rows)


async def _running(session: Any) -> Plan | None:
    number = await session.fetchval("select plan_id from router.plans where state = 'running'")
    return await _read(session, number) if number is not None else None


async def _read(session: Any, plan_id: int | None) -> Plan | None:
    if plan_id is None:
        row = await session.fetchrow(_PLAN + " order by plan_id desc limit 1")
    else:
        row = await session.fetchrow(_PLAN + " where plan_id = $1", plan_id)
    if row is None:
        return None
    steps = [Step(**{**dict(s), "state": StepState(s["state"])}) for s in await session.fetch(_STEPS, row["plan_id"])]
    return Plan(row["plan_id"], PlanState(row["state"]), tuple(steps), row["drains"], row["actor"], row["reason"])
