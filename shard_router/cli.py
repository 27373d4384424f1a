"""`forno shards`: which shard owns which city; moving cities, one or as a plan; proof that nothing was lost."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from rich.console import Console

from node import arguments
from node.rpc import fault_of
from node.running import actor, of_a_stack, setting
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub
from shard_router import cli_output
from shard_router.client import CHANNEL_OPTIONS
from shard_router.plans.plan import Plan, PlanState
from shard_router.plans.wire import plan_value
from shard_router.topology import MoveState
from shard_router.wire import map_value, move_value

if TYPE_CHECKING:
    from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterAsyncStub

#: A move is given up on (it goes on, but is not waited for) after this long, wall seconds.
MOVE_WAIT_S = 150.0
#: How long the new owner's first tick is waited for once the move is done, wall seconds.
GAP_WAIT_S = 5.0
_LOOK_EVERY_S = 0.2


def main(argv: list[str]) -> int:
    """Runs `forno shards …` and returns its exit code."""
    words = _parser().parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    common = arguments.Parser(add_help=False, parents=[of_a_stack()])
    common.add_argument(
        "--router", type=arguments.address, help="host:port of the shard router (default: of the running stack)"
    )
    common.add_argument("--json", action="store_true", help="for machines")
    parser = arguments.Parser(prog="forno shards", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", parents=[common], help="the map as it stands")
    verbs.add_parser("watch", parents=[common], help="the map, again with each change, until Ctrl-C")
    verbs.add_parser("moves", parents=[common], help="the last moves, and how long nobody decided")
    move = verbs.add_parser("move", parents=[common], help="move a city to another shard while everything runs")
    move.add_argument("city", type=arguments.name)
    move.add_argument("shard", type=arguments.name)
    cancel = verbs.add_parser("cancel", parents=[common], help="call a move off that was not handed over yet")
    cancel.add_argument("city", type=arguments.name)
    plan = verbs.add_parser("plan", parents=[common], help="the fewest moves that bring every shard under its target")
    plan.add_argument(
        "--target",
        type=arguments.whole(0, arguments.MAX_ID),
        default=0,
        help="riders a shard should carry at most (an order counts ten)",
    )
    apply = verbs.add_parser("apply", parents=[common], help="apply a plan, or go on with one; Ctrl-C stops it")
    apply.add_argument(
        "plan", nargs="?", type=arguments.whole(0, arguments.MAX_ID), default=0, help="default: the last one made"
    )
    apply.add_argument("--stop", action="store_true", help="stop the plan that runs, after the move under way")
    for verb, about in (
        ("drain", "empty a shard for maintenance; it gets nothing until it is undrained"),
        ("undrain", "let a shard have cities again"),
    ):
        verbs.add_parser(verb, parents=[common], help=about).add_argument("shard", type=arguments.name)
    verbs.add_parser("audit", parents=[common], help="does the record hold what we promise? exit code 1 if not")
    return parser


async def _run(words: argparse.Namespace) -> int:
    verbs: dict[str, Callable[[ShardRouterAsyncStub, argparse.Namespace], Awaitable[int]]] = {
        "list": _list,
        "watch": _watch,
        "moves": _moves,
        "move": _move,
        "cancel": _cancel,
        "plan": _plan,
        "apply": _apply,
        "drain": _drain,
        "undrain": _undrain,
        "audit": _audit,
    }
    router = setting("router_address", words.router, words.dir)
    async with grpc.aio.insecure_channel(router, options=CHANNEL_OPTIONS) as channel:
        try:
            return await verbs[words.verb](ShardRouterStub(channel), words)
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            _complain(f"{fault.message} [{fault.reason}]")
            return 1


def _complain(what: str) -> None:
    print(f"forno shards: {what}", file=sys.stderr)


async def _list(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    cli_output.map_(map_value(await router.GetMap(pb.GetMapRequest(), timeout=5)), as_json=words.json)
    return 0


async def _watch(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    async for answer in router.WatchMap(pb.WatchMapRequest()):
        cli_output.map_(map_value(answer.map), as_json=words.json)
    return 0


async def _moves(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    answer = await router.ListMoves(pb.ListMovesRequest(), timeout=5)
    cli_output.moves([move_value(move) for move in answer.moves], as_json=words.json)
    return 0


async def _move(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    request = pb.MoveCityRequest(city=words.city, to_shard=words.shard, actor=actor())
    asked = (await router.MoveCity(request, timeout=5)).city
    with Console(stderr=True).status("") as status:
        move = await _ended(router, asked.move.move_id, lambda text: status.update(f"{words.city}: {text}"))
    if move is None:
        _complain(
            f"{words.city} has not moved within {MOVE_WAIT_S:.0f} s; the move still stands (`forno shards watch`)"
        )
        return 1
    value = move_value(move)
    if value.state is MoveState.FAILED:
        _complain(f"{words.city} was not moved: {value.reason}")
        return 1
    done = {"city": words.city, "from": value.from_shard, "to": value.to_shard, "epoch": value.epoch + 1}
    done["gap_ms"] = round(value.gap_ms) if value.gap_ms is not None else None
    text = f"{words.city}: {value.from_shard} -> {value.to_shard}, epoch {value.epoch + 1}"
    gap = f", {done['gap_ms']} ms from the last tick there to the first tick here" if value.gap_ms else ""
    print(json.dumps(done) if words.json else text + gap)
    return 0


async def _ended(router: ShardRouterAsyncStub, move_id: int, say: Callable[[str], None]) -> pb.Move | None:
    """Waits for the end of a move, and then a while for its new owner's first tick; None if it takes too long."""
    began_s, done_s = time.monotonic(), 0.0
    while time.monotonic() - began_s < MOVE_WAIT_S:
        moves = (await router.ListMoves(pb.ListMovesRequest(limit=50), timeout=5)).moves
        move = next((move for move in moves if move.move_id == move_id), None)
        if move is not None:
            value = move_value(move)
            if value.state is MoveState.FAILED or value.gap_ms is not None:
                return move
            done_s = done_s or (time.monotonic() if not value.under_way else 0.0)
            if done_s and time.monotonic() - done_s > GAP_WAIT_S:
                return move
            city = map_value(await router.GetMap(pb.GetMapRequest(), timeout=5)).cities[value.city]
            say(cli_output.progress(value, city.behind))
        await asyncio.sleep(_LOOK_EVERY_S)
    return None


async def _cancel(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    await router.CancelMove(pb.CancelMoveRequest(city=words.city, actor=actor()), timeout=5)
    print(json.dumps({"city": words.city, "cancelled": True}) if words.json else f"{words.city} stays where it is")
    return 0


async def _plan(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    request = pb.MakePlanRequest(target=words.target, actor=actor())
    cli_output.proposal(await router.MakePlan(request, timeout=30), as_json=words.json)
    return 0


async def _apply(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    if words.stop:
        stopped = (await router.StopPlan(pb.StopPlanRequest(plan_id=words.plan), timeout=5)).plan
        cli_output.plan(plan_value(stopped), as_json=words.json)
        return 0
    plan = plan_value((await router.ApplyPlan(pb.ApplyPlanRequest(plan_id=words.plan), timeout=5)).plan)
    return await _follow(router, plan, as_json=words.json)


async def _drain(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    request = pb.SetDrainingRequest(shard_id=words.shard, draining=True, actor=actor())
    plan = plan_value((await router.SetDraining(request, timeout=5)).plan)
    if plan.plan_id:
        plan = plan_value((await router.ApplyPlan(pb.ApplyPlanRequest(plan_id=plan.plan_id), timeout=5)).plan)
    return await _follow(router, plan, as_json=words.json)


async def _undrain(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    request = pb.SetDrainingRequest(shard_id=words.shard, draining=False, actor=actor())
    await router.SetDraining(request, timeout=5)
    done = {"shard": words.shard, "draining": False}
    print(json.dumps(done) if words.json else f"{words.shard} may have cities again; `forno shards plan` spreads them")
    return 0


async def _follow(router: ShardRouterAsyncStub, plan: Plan, *, as_json: bool) -> int:
    """Shows a plan's progress to its end; Ctrl-C stops it after the move under way."""
    with Console(stderr=True).status("") as status:
        try:
            while plan.state is PlanState.RUNNING:
                status.update(cli_output.plan_progress(plan))
                await asyncio.sleep(_LOOK_EVERY_S)
                plan = plan_value((await router.GetPlan(pb.GetPlanRequest(plan_id=plan.plan_id), timeout=5)).plan)
        except asyncio.CancelledError:
            await router.StopPlan(pb.StopPlanRequest(plan_id=plan.plan_id), timeout=5)
            _complain(
                f"plan {plan.plan_id} stops after the move under way; `forno shards apply {plan.plan_id}` goes on"
            )
            raise
    cli_output.plan(plan, as_json=as_json)
    return 0 if plan.state is PlanState.DONE else 1


async def _audit(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    done = await router.Audit(pb.AuditRequest(), timeout=60)
    cli_output.audit(done, as_json=words.json)
    return 1 if done.findings else 0
