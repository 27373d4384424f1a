"""`forno explain ORDER`: why an order went to whom it went, from the decision records of its offers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

import grpc
import grpc.aio
from rich.console import Console
from rich.table import Table

from node.rpc import fault_of
from node.running import setting
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.shard_router.v1.shard_router_pb2 import GetMapRequest
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub

_TIMEOUT_S = 5.0


def main(argv: list[str]) -> int:
    """Runs `forno explain …` and returns its exit code."""
    parser = argparse.ArgumentParser(prog="forno explain", description=__doc__)
    parser.add_argument("order", help="id of the order")
    parser.add_argument("--city", help="its city (default: every city is asked)")
    parser.add_argument("--router", help="host:port of the shard router (default: the stack running in ./.forno)")
    parser.add_argument("--json", action="store_true", help="the records as they are, one JSON document a line")
    words = parser.parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except KeyboardInterrupt:
        return 130


async def _run(words: argparse.Namespace) -> int:
    try:
        owners = await _owners(setting("router_address", words.router), words.city)
        for city, address in owners:
            records = await _records(address, city, words.order)
            if records is not None:
                _show(words.order, city, records, as_json=words.json)
                return 0
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        print(f"forno explain: {fault.message} [{fault.reason}]", file=sys.stderr)
        return 1
    asked = ", ".join(city for city, _ in owners) or "no city has an owner"
    print(f"forno explain: no order {words.order!r} (asked: {asked})", file=sys.stderr)
    return 1


async def _owners(router: str, city: str | None) -> list[tuple[str, str]]:
    """Cities and the addresses of their owners."""
    async with grpc.aio.insecure_channel(router) as channel:
        found = await ShardRouterStub(channel).GetMap(GetMapRequest(), timeout=_TIMEOUT_S)
    return [(entry.city, entry.address) for entry in found.cities if entry.address and city in (None, entry.city)]


async def _records(address: str, city: str, order_id: str) -> list[dict[str, Any]] | None:
    """The decision records of an order; None when the city has no such order."""
    async with grpc.aio.insecure_channel(address) as channel:
        try:
            request = pb.ExplainRequest(city=city, order_id=order_id)
            answer = await DispatchStub(channel).Explain(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
    return [json.loads(document) for document in answer.records_json]


def _show(order_id: str, city: str, records: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for record in records:
            print(json.dumps(record))
        return
    console = Console()
    count = f"{len(records)} offer{'s' if len(records) != 1 else ''}"
    console.print(f"[bold]{order_id}[/bold] in {city}: {count}", highlight=False)
    for number, record in enumerate(records, 1):
        console.print(offer_table(number, order_id, record))


def offer_table(number: int, order_id: str, record: dict[str, Any]) -> Table:
    """One offer: what it cost term by term, and who else could have come."""
    at = datetime.fromtimestamp(record["now_ms"] / 1000, UTC).strftime("%H:%M:%S")
    together = f", together with {len(record['order_ids']) - 1} more" if len(record["order_ids"]) > 1 else ""
    title = f"{number}. {at} rider {record['rider_id']}{together}: {record['outcome']}"
    solver = f"{record['strategy']} ({record['solver_status']}, work {record['solver_work']})"
    if record["fallback"]:
        solver += f", fallback: {record['fallback']}"
    caption = (
        f"tick {record['tick']}, epoch {record['epoch']} of {record['shard_id']}; {solver}; "
        f"{record['travel_version']}; {record['candidates']} riders could have come"
    )
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.add_column("who")
    table.add_column("cost", justify="right")
    table.add_column("why")
    terms = ", ".join(f"{name} {value:g}" for name, value in record["terms"] if value)
    table.add_row(f"[bold]{record['rider_id']}[/bold]", f"{record['cost']:g}", terms)
    others = dict(record["alternatives"]).get(order_id, [])
    for other in others:
        instead = f"takes {len(other['instead'])} other order(s)" if other["instead"] else "stays idle: costs more"
        table.add_row(str(other["rider_id"]), f"{other['cost']:g} (alone)", instead)
    return table
