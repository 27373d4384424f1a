"""Print the answers of `forno shards`: tables for people, JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.text import Text

from node.table import Cell, Number, show
from proto.shard_router.v1 import shard_router_pb2 as pb
from shard_router.plans.plan import Plan, StepState
from shard_router.plans.wire import plan_value
from shard_router.topology import CityMap, Move, MoveState


def map_(found: CityMap, *, as_json: bool) -> None:
    """Shards, their loads and cities; moves under way, and cities that nobody owns."""
    if as_json:
        print(json.dumps(asdict(found)))
        return
    rows: list[list[Cell]] = []
    for shard in found.shards.values():
        beat = Text(f"{shard.heartbeat_age_ms} ms ago") if shard.alive else Text("dead", "red")
        name = Text.assemble(shard.shard_id, (" (draining)", "yellow")) if shard.draining else Text(shard.shard_id)
        load = (str(shard.load.riders), str(shard.load.open_orders), f"{shard.load.tick_p99_ms:.0f} ms")
        cities = ", ".join(f"{c.city} ({c.epoch})" for c in found.owned_by(shard.shard_id))
        rows.append([name, shard.address, beat, *load, str(shard.load.refused), cities or "-"])
    numbers = [Number(name) for name in ("heartbeat", "riders", "open orders", "tick p99", "refused")]
    show(f"Shards (map {found.version})", ("shard", "address", *numbers, "cities (epoch)"), rows)
    moving = [(city.city, city.move, city.behind) for city in found.cities.values() if city.move is not None]
    notes = [Text(f"{city} -> {move.to_shard}: {progress(move, behind)}", "cyan") for city, move, behind in moving]
    notes += [Text(f"{city.city}: no owner (epoch {city.epoch})", "yellow") for city in found.orphans()]
    show("", [""], [[note] for note in notes])


def progress(move: Move, behind: int | None) -> str:
    """State of a move, in words."""
    if move.state is MoveState.SHADOWING:
        waiting = f", {behind} events behind its owner" if behind is not None else ""
        return f"{move.to_shard} follows it and is warming up{waiting}"
    if move.state is MoveState.WARM:
        return f"{move.to_shard} is warm; {move.from_shard or 'nobody'} finishes its tick"
    if move.state is MoveState.RELEASED:
        return f"{move.from_shard or 'nobody'} let it go; {move.to_shard} takes it"
    return f"{move.to_shard} has it" if move.state is MoveState.DONE else f"failed: {move.reason}"


def moves(found: Sequence[Move], *, as_json: bool) -> None:
    """The last moves, newest first."""
    if as_json:
        print(json.dumps([asdict(move) for move in found]))
        return
    rows = []
    for move in found:
        warm = f"{(move.warm_ms - move.asked_ms) / 1000:.1f} s" if move.warm_ms else "-"
        gap = f"{move.gap_ms:.0f} ms" if move.gap_ms is not None else "-"
        state = f"{move.state} ({move.reason})" if move.reason else move.state
        rows.append([str(move.move_id), move.city, move.from_shard or "-", move.to_shard, warm, gap, move.actor, state])
    times = (Number("warm-up"), Number("last tick to first tick"))
    show("Moves", (Number("move"), "city", "from", "to", *times, "by", "state"), rows)


def proposal(made: pb.MakePlanResponse, *, as_json: bool) -> None:
    """A plan with what it costs and what it brings."""
    if as_json:
        print(MessageToJson(made, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
        return
    console = Console(highlight=False)
    burdens = [[burden.shard_id, str(burden.before), str(burden.after)] for burden in made.burdens]
    show(f"What shards carry, in riders (target {made.target})", ("shard", Number("now"), Number("after")), burdens)
    if not made.plan.steps:
        console.print("Every shard is under its target: nothing to move.")
        return
    plan(plan_value(made.plan), as_json=False)
    if made.gap_ms:
        console.print(
            f"Lately a move took {made.warm_up_ms / 1000:.1f} s to warm up, and {made.gap_ms:.0f} ms passed between the"
            " last tick of the old owner and the first of the new one."
        )
    else:
        console.print("No move has been measured here yet.")
    console.print(f"`forno shards apply {made.plan.plan_id}` begins.")


def plan(found: Plan, *, as_json: bool) -> None:
    """A plan, step by step."""
    if as_json:
        print(json.dumps(asdict(found)))
        return
    if not found.steps:
        print("Nothing to move.")
        return
    title = f"Plan {found.plan_id}: {found.state}" + (f" ({found.reason})" if found.reason else "")
    rows = []
    for step in found.steps:
        state = f"{step.state} ({step.reason})" if step.reason else step.state
        rows.append([step.city, step.from_shard, step.to_shard, str(step.riders), str(step.open_orders), state])
    show(title, ("city", "from", "to", Number("riders"), Number("open orders"), "state"), rows)


def plan_progress(found: Plan) -> str:
    """State of a plan, in words."""
    done = sum(step.state in (StepState.DONE, StepState.SKIPPED) for step in found.steps)
    now = next((f": {step.city} -> {step.to_shard}" for step in found.steps if step.state is StepState.MOVING), "")
    return f"plan {found.plan_id}: {done} of {len(found.steps)} moves{now}"


def audit(done: pb.AuditResponse, *, as_json: bool) -> None:
    """Print the rows examined, and the findings."""
    if as_json:
        print(MessageToJson(done, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
        return
    Console(highlight=False).print(
        "Looked at " + ", ".join(f"{count} {what}" for what, count in sorted(done.examined.items()))
    )
    rows: list[tuple[Text, str]] = []
    for check in done.checks:
        found = [("", f"{one.city}: {one.what}") for one in done.findings if one.check == check]
        rows.append((Text("✗", "red") if found else Text("✓", "green"), check))
        rows += [(Text(mark), text) for mark, text in found]
    if done.more:
        rows.append((Text(), f"and {done.more} more"))
    show("", ("", ""), rows)
