"""Translate plans to protobuf and back."""

from __future__ import annotations

from collections.abc import Mapping

from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router.plans.plan import Plan, PlanState, Step, StepState

_STEP_STATES: Mapping[StepState, pb.StepState.ValueType] = {
    StepState.WAITING: pb.STEP_STATE_WAITING,
    StepState.MOVING: pb.STEP_STATE_MOVING,
    StepState.DONE: pb.STEP_STATE_DONE,
    StepState.FAILED: pb.STEP_STATE_FAILED,
    StepState.SKIPPED: pb.STEP_STATE_SKIPPED,
}
_PLAN_STATES: Mapping[PlanState, pb.PlanState.ValueType] = {
    PlanState.PROPOSED: pb.PLAN_STATE_PROPOSED,
    PlanState.RUNNING: pb.PLAN_STATE_RUNNING,
    PlanState.STOPPED: pb.PLAN_STATE_STOPPED,
    PlanState.DONE: pb.PLAN_STATE_DONE,
}


def plan_message(plan: Plan) -> pb.Plan:
    """A plan as a message."""
    steps = [
        pb.PlanStep(
            city=step.city,
            from_shard=step.from_shard,
            to_shard=step.to_shard,
            riders=step.riders,
            open_orders=step.open_orders,
            state=_STEP_STATES[step.state],
            reason=step.reason,
            move_id=step.move_id or 0,
        )
        for step in plan.steps
    ]
    return pb.Plan(
        plan_id=plan.plan_id,
        state=_PLAN_STATES[plan.state],
        reason=plan.reason,
        drains=plan.drains or "",
        steps=steps,
    )


def plan_value(plan: pb.Plan) -> Plan:
    """A plan as a value."""
    steps = tuple(
        Step(
            city=step.city,
            from_shard=step.from_shard,
            to_shard=step.to_shard,
            riders=step.riders,
            open_orders=step.open_orders,
            state=next(state for state, word in _STEP_STATES.items() if word == step.state),
            reason=step.reason,
            move_id=step.move_id or None,
        )
        for step in plan.steps
    )
    state = next(state for state, word in _PLAN_STATES.items() if word == plan.state)
    return Plan(plan.plan_id, state, steps, plan.drains or None, reason=plan.reason)
