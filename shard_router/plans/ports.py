"""Port of the plans: their store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shard_router.plans.plan import Plan, PlanState, Step


class PlanStore(Protocol):
    """Plans and shards under maintenance."""

    async def set_draining(self, shard_id: str, draining: bool, actor: str) -> None:
        """Whether the shard gets cities. Moves to one that drains fail, unless they were released to it already.

        Raises `UnknownShard`.
        """

    async def save_plan(self, steps: Sequence[Step], drains: str | None, actor: str) -> Plan:
        """Stores a new plan, proposed."""

    async def plan(self, plan_id: int | None) -> Plan | None:
        """A plan, or the last one made."""

    async def set_plan(self, plan_id: int, state: PlanState, reason: str = "") -> Plan:
        """Changes its state; running, its failed and skipped steps wait again. Raises `PlanRefused`."""

    async def running_plan(self) -> Plan | None:
        """The one that runs."""

    async def set_step(self, plan_id: int, number: int, step: Step) -> None:
        """Changes state, reason and move of a step; steps count from 0."""

    async def add_steps(self, plan_id: int, first: int, steps: Sequence[Step]) -> None:
        """Steps behind the last one, which `first` counts; nothing when somebody else has added some meanwhile."""
