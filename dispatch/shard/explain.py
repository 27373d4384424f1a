"""`forno explain ORDER`: why an order went to whom it went, from the decision records of its offers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
import structlog
from rich.console import Console

from node import arguments
from node.errors import FornoError
from node.rpc import fault_of
from node.running import of_a_stack, setting
from node.table import Number, show
from proto.dispatch.v1 import dispatch_pb2 as pb
from shard_router.client import Directory

#: Of one call, wall seconds.
_TIMEOUT_S = 5.0
#: Of the whole command: the first map, and a city on its way to another owner.
_DEADLINE_S = 10.0


def main(argv: list[str]) -> int:
    """Runs `forno explain …` and returns its exit code."""
    parser = arguments.Parser(prog="forno explain", description=__doc__, parents=[of_a_stack()])
    parser.add_argument("order", type=arguments.name, help="id of the order")
    parser.add_argument("--city", type=arguments.name, help="its city (default: every city is asked)")
    parser.add_argument(
        "--router", type=arguments.address, help="host:port of the shard router (default: of the running stack)"
    )
    parser.add_argument("--json", action="store_true", help="the records as they are, one JSON document a line")
    words = parser.parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except KeyboardInterrupt:
        return 130


async def _run(words: argparse.Namespace) -> int:
    try:
        async with (
            asyncio.timeout(_DEADLINE_S),
            _directory(setting("router_address", words.router, words.dir)) as directory,
        ):
            return await _explain(directory, words.order, words.city, as_json=words.json)
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        return _failed(f"{fault.message} [{fault.reason}]")
    except FornoError as error:
        return _failed(f"{error} [{error.reason}]")
    except TimeoutError:
        return _failed(f"no answer within {_DEADLINE_S:.0f} s: is the stack running?")


async def _explain(directory: Directory, order_id: str, city: str | None, *, as_json: bool) -> int:
    """Asks one city or, in turn, every city that has an owner. Raises `UnknownCity`."""
    if city is not None:
        cities = [directory.entry(city).city]
    else:
        cities = [entry.city for entry in directory.map.cities.values() if entry.address]
    for asked in cities:
        records = await _records(directory, asked, order_id)
        if records is not None:
            _show(order_id, asked, records, as_json=as_json)
            if not records and not as_json:
                print(never_offered(await _state(directory, asked, order_id)))
            return 0
    return _failed(f"no order {order_id!r} (asked: {', '.join(cities) or 'no city has an owner'})")


@asynccontextmanager
async def _directory(router: str) -> AsyncIterator[Directory]:
    """The map, followed: a city that moves meanwhile is asked at its new owner."""
    # What it says is for people: standard output is for the records.
    directory = Directory(router, structlog.wrap_logger(structlog.PrintLogger(sys.stderr)))
    try:
        await directory.start()
        following = asyncio.create_task(directory.run())
        try:
            yield directory
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
    finally:
        await directory.close()


async def _records(directory: Directory, city: str, order_id: str) -> list[dict[str, Any]] | None:
    """The decision records of an order; None when the city has no such order."""
    request = pb.ExplainRequest(city=city, order_id=order_id)
    try:
        answer = await directory.ask(city, lambda shard: shard.Explain(request, timeout=_TIMEOUT_S))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return [json.loads(document) for document in answer.records_json]


async def _state(directory: Directory, city: str, order_id: str) -> pb.TrackResponse:
    request = pb.TrackRequest(city=city, order_id=order_id)
    return await directory.ask(city, lambda shard: shard.Track(request, timeout=_TIMEOUT_S))


def never_offered(track: pb.TrackResponse) -> str:
    """Explanation of an order without a decision."""
    if track.state != pb.ORDER_STATE_OPEN:
        return f"Nobody was ever asked: it is {pb.OrderState.Name(track.state).removeprefix('ORDER_STATE_').lower()}."
    since = (
        datetime.fromtimestamp(track.events[0].at_ms / 1000, UTC).strftime(" since %H:%M:%S") if track.events else ""
    )
    return (
        f"Open{since}: nobody has been asked yet. Every tick looks anew; an order is offered when its rider must set "
        "out, so it waits for its food to be nearly ready, or for a rider who is free, seen and allowed to take it."
    )


def _clock(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S")


def _failed(why: str) -> int:
    print(f"forno explain: {why}", file=sys.stderr)
    return 1


def _show(order_id: str, city: str, records: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for record in records:
            print(json.dumps(record))
        return
    console = Console(highlight=False, markup=False)
    console.print(f"{order_id} in {city}: {len(records)} offer{'s' if len(records) != 1 else ''}")
    for number, record in enumerate(records, 1):
        show_offer(console, number, order_id, record)


def show_offer(console: Console, number: int, order_id: str, record: dict[str, Any]) -> None:
    """Print one offer: what it cost term by term, and who else could have come."""
    at = _clock(record["now_ms"])
    together = f", together with {len(record['order_ids']) - 1} more" if len(record["order_ids"]) > 1 else ""
    borrowed = f" of {record['borrowed_from']}" if record.get("borrowed_from") else ""
    title = f"{number}. {at} rider {record['rider_id']}{borrowed}{together}: {record['outcome']}"
    solver = f"{record['strategy']} ({record['solver_status']}, work {record['solver_work']})"
    if record["fallback"]:
        solver += f", fallback: {record['fallback']}"
    cut = record["cut"]
    caption = (
        f"tick {record['tick']}, epoch {record['epoch']} of {record['shard_id']}; {solver}; "
        f"{record['travel_version']}; {record['candidates']} riders could have come; had read partition "
        f"{cut['partition']} up to fix {cut['pings_offset']} and event {cut['events_offset']} of log "
        f"{cut['incarnation']}"
    )
    rows = [[f"{record['rider_id']}", f"{record['cost']:g}", _terms(record["terms"])]]
    rows += [
        [str(other["rider_id"]), f"{other['cost']:g} (alone)", _why_not(record, other)]
        for other in dict(record["alternatives"]).get(order_id, [])
    ]
    rows += [
        [f"{count} more", "", f"not eligible: {_NOT_ELIGIBLE.get(rule, rule)}"]
        for rule, count in record.get("not_eligible", [])
    ]
    console.print()
    show(title, ("who", Number("cost"), "why"), rows, console)
    console.print(caption, style="dim")


#: What stood in a rider's way, by the rule's name in a decision record.
_NOT_ELIGIBLE = {
    "room": "the order is too big for what they carry",
    "stops": "too many stops already",
    "reach": "the door is too far for the vehicle",
    "zone": "another zone",
    "cooldown": "declined or let expire not long ago",
    "shift": "the shift ends before the pickup",
}


def _terms(terms: list[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in terms if value)


def _why_not(record: dict[str, Any], other: dict[str, Any]) -> str:
    """Say what the rider did instead; against a trip of one order, the terms in which it differs."""
    if other["instead"]:
        return f"takes {len(other['instead'])} other order(s)"
    if len(record["order_ids"]) > 1 or not other.get("terms"):
        return "stays idle: costs more"
    chosen = dict(record["terms"])
    more = [(name, round(value - chosen.get(name, 0.0), 3)) for name, value in other["terms"]]
    apart = ", ".join(f"{name} {value:+g}" for name, value in more if value)
    return f"stays idle: {apart or 'costs the same'}"
