"""`forno shards`: which shard owns which city, and moving cities."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.table import Table

from node.rpc import fault_of
from node.running import setting
from proto.shard_router.v1 import shard_router_pb2 as pb
from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterStub
from shard_router.client import map_value
from shard_router.topology import CityMap

if TYPE_CHECKING:
    from proto.shard_router.v1.shard_router_pb2_grpc import ShardRouterAsyncStub

#: A move is given up on (it goes on, but is not waited for) after this long, wall seconds.
MOVE_WAIT_S = 30.0


def main(argv: list[str]) -> int:
    """Runs `forno shards …` and returns its exit code."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--router", help="host:port of the shard router (default: the stack running in ./.forno)")
    common.add_argument("--json", action="store_true", help="for machines")
    parser = argparse.ArgumentParser(prog="forno shards", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", parents=[common], help="the map as it stands")
    verbs.add_parser("watch", parents=[common], help="the map, again with each change, until Ctrl-C")
    move = verbs.add_parser("move", parents=[common], help="move a city to another shard")
    move.add_argument("city")
    move.add_argument("shard")
    verbs.add_parser("audit", parents=[common], help="does the record hold what we promise? exit code 1 if not")
    words = parser.parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except KeyboardInterrupt:
        return 130


async def _run(words: argparse.Namespace) -> int:
    verbs: dict[str, Callable[[ShardRouterAsyncStub, argparse.Namespace], Awaitable[int]]] = {
        "list": _list,
        "watch": _watch,
        "move": _move,
        "audit": _audit,
    }
    async with grpc.aio.insecure_channel(setting("router_address", words.router)) as channel:
        try:
            return await verbs[words.verb](ShardRouterStub(channel), words)
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            print(f"forno shards: {fault.message} [{fault.reason}]", file=sys.stderr)
            return 1


async def _list(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    _show(map_value(await router.GetMap(pb.GetMapRequest(), timeout=5)), as_json=words.json)
    return 0


async def _watch(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    async for answer in router.WatchMap(pb.WatchMapRequest()):
        _show(map_value(answer.map), as_json=words.json)
    return 0


async def _move(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    request = pb.MoveCityRequest(city=words.city, to_shard=words.shard, actor=getpass.getuser())
    before = (await router.MoveCity(request, timeout=5)).city
    console = Console(stderr=True)
    with console.status(f"{words.city}: waiting for {before.shard_id or 'nobody'} to finish its tick"):
        try:
            async with asyncio.timeout(MOVE_WAIT_S):
                async for answer in router.WatchMap(pb.WatchMapRequest()):
                    entry = map_value(answer.map).cities[words.city]
                    if entry.owner == words.shard and entry.epoch > before.epoch:
                        break
        except TimeoutError:
            print(
                f"forno shards: {words.city} has not moved within {MOVE_WAIT_S:.0f} s; the move still stands"
                " (`forno shards watch` shows it)",
                file=sys.stderr,
            )
            return 1
    done = {"city": words.city, "from": before.shard_id, "to": entry.owner, "epoch": entry.epoch}
    text = f"{done['city']}: {done['from']} -> {done['to']}, epoch {done['epoch']}"
    print(json.dumps(done) if words.json else text)
    return 0


async def _audit(router: ShardRouterAsyncStub, words: argparse.Namespace) -> int:
    done = await router.Audit(pb.AuditRequest(), timeout=60)
    if words.json:
        print(MessageToJson(done, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
        return 1 if done.findings else 0
    console = Console()
    console.print("Looked at " + ", ".join(f"{count} {what}" for what, count in sorted(done.examined.items())))
    broken = {finding.check for finding in done.findings}
    for check in done.checks:
        console.print(f"[red]✗[/red] {check}" if check in broken else f"[green]✓[/green] {check}")
        for finding in done.findings:
            if finding.check == check:
                console.print(f"    {finding.city}: {finding.what}", soft_wrap=True)
    if done.more:
        console.print(f"    and {done.more} more")
    return 1 if broken else 0


def _show(map_: CityMap, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(map_)))
        return
    table = Table(title=f"Shards (map {map_.version})", title_justify="left")
    for column in ("shard", "address", "heartbeat", "riders", "open orders", "tick p99", "cities (epoch)"):
        table.add_column(column, no_wrap=column in ("shard", "address"))
    for shard in map_.shards.values():
        cities = ", ".join(f"{c.city} ({c.epoch})" for c in map_.owned_by(shard.shard_id))
        beat = f"{shard.heartbeat_age_ms} ms ago" if shard.alive else "[red]dead[/red]"
        load = (str(shard.load.riders), str(shard.load.open_orders), f"{shard.load.tick_p99_ms:.0f} ms")
        table.add_row(shard.shard_id, shard.address, beat, *load, cities or "-")
    console = Console()
    console.print(table)
    for city in map_.orphans():
        console.print(f"[yellow]{city.city}: no owner (epoch {city.epoch})[/yellow]")
