"""`forno cities`: the cities and their borders, and changing a border while everything runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from node import arguments
from node.documents import BadDocument, read_text
from node.rpc import fault_of
from node.running import actor, of_a_stack, setting
from node.table import Number
from node.table import show as show_table
from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersStub
from shard_router.cities.borders import CHANNEL_OPTIONS, Border, overlaid, read_borders
from shard_router.cities.catalogue import City, load_cities
from shard_router.cities.document import MAX_DOCUMENT_BYTES

if TYPE_CHECKING:
    from proto.shard_router.v1.borders_pb2_grpc import CityBordersAsyncStub


#: Deadline of a publication, wall seconds: a border of `MAX_POINTS` takes some ten to check.
_PUBLISH_S = 60.0


def main(argv: list[str]) -> int:
    """Runs `forno cities …`: 0 done, 1 refused, 2 a file that cannot be read."""
    common = arguments.Parser(add_help=False, parents=[of_a_stack()])
    common.add_argument(
        "--router", type=arguments.address, help="host:port of the shard router (default: of the running stack)"
    )
    common.add_argument("--json", action="store_true", help="for machines")
    parser = arguments.Parser(prog="forno cities", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", parents=[common], help="the cities as they are now")
    history = verbs.add_parser("history", parents=[common], help="every border a city was given")
    history.add_argument("city", type=_city)
    publish = verbs.add_parser("publish", parents=[common], help="give a city a new border")
    publish.add_argument(
        "file", type=arguments.file, help="a GeoJSON feature, or a collection of one, as `show` prints it"
    )
    publish.add_argument("--dry-run", action="store_true", help="check it and say what it would change")
    show = verbs.add_parser("show", parents=[common], help="a city's border as GeoJSON, to change and publish")
    show.add_argument("city", type=_city)
    words = parser.parse_args(argv)
    try:
        return asyncio.run(_run(words))
    except BadDocument as error:
        print(f"forno cities: {error}", file=sys.stderr)
        return 2


def _city(slug: str) -> str:
    """A city of the catalogue."""
    if slug not in (known := [city.slug for city in load_cities()]):
        raise argparse.ArgumentTypeError(f"there is no city {slug!r}; there are {', '.join(known)}")
    return slug


async def _run(words: argparse.Namespace) -> int:
    router = setting("router_address", words.router, words.dir)
    async with grpc.aio.insecure_channel(router, options=CHANNEL_OPTIONS) as channel:
        stub: CityBordersAsyncStub = CityBordersStub(channel)
        try:
            if words.verb == "publish":
                return await _publish(stub, words)
            if words.verb == "history":
                return await _history(stub, words.city, as_json=words.json)
            borders = await read_borders(stub, pb.GetBordersRequest(newest_only=True))
        except grpc.aio.AioRpcError as error:
            fault = fault_of(error)
            print(f"forno cities: {fault.message} [{fault.reason}]", file=sys.stderr)
            return 1
    cities = overlaid(load_cities(), borders)
    if words.verb == "list":
        return _list(cities, borders, as_json=words.json)
    print(json.dumps(next(city for city in cities if city.slug == words.city).feature()))
    return 0


async def _publish(stub: CityBordersAsyncStub, words: argparse.Namespace) -> int:
    text = read_text(words.file, MAX_DOCUMENT_BYTES)
    request = pb.PublishBorderRequest(feature_json=text, actor=actor(), dry_run=words.dry_run)
    done = await stub.PublishBorder(request, timeout=_PUBLISH_S)
    for warning in done.warnings:
        print(f"forno cities: {words.file}: {warning}", file=sys.stderr)
    facts = {"version": done.version, "cells": done.cells, "won": done.won, "lost": done.lost}
    what = f"published as version {done.version}" if done.version else "nothing published"
    print(json.dumps(facts) if words.json else f"{done.cells} cells, {done.won} won, {done.lost} lost; {what}")
    return 0


def _list(cities: tuple[City, ...], borders: list[Border], *, as_json: bool) -> int:
    version = {border.city: border.version for border in borders}
    rows = [
        {
            "city": city.slug,
            "name": city.name,
            "country": city.country,
            "time_zone": city.time_zone,
            "currency": city.currency,
            "cells": len(city.cells),
            "border": version.get(city.slug, 0),
        }
        for city in cities
    ]
    if as_json:
        print(json.dumps(rows))
        return 0
    headings = ("city", "name", "country", "time zone", "currency", Number("cells"), Number("border"))
    show_table("", headings, [[str(value) for value in row.values()] for row in rows])
    return 0


async def _history(stub: CityBordersAsyncStub, city: str, *, as_json: bool) -> int:
    borders = await read_borders(stub, pb.GetBordersRequest(city=city, without_features=True))
    rows = [
        {
            "version": border.version,
            "published": datetime.fromtimestamp(border.published_ms / 1000, UTC).isoformat(timespec="seconds"),
            "actor": border.actor,
        }
        for border in borders
    ]
    if as_json:
        print(json.dumps(rows))
        return 0
    published = [[str(value) for value in row.values()] for row in rows]
    show_table("", (Number("version"), "published", "by"), [["0", "as it shipped", "-"], *published])
    return 0
