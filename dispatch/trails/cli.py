"""`forno trails where|near|distance`: where riders were, from the hot trails and the archive."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from dispatch.trails.adapters.mongo_history import MongoHotTrails
from dispatch.trails.adapters.parquet import ParquetArchive
from dispatch.trails.config import TrailSettings
from dispatch.trails.model import Driven, Near, Whereabouts
from dispatch.trails.service import MAX_NEAR, MAX_RADIUS_M, TrailService
from node import arguments
from node.errors import FornoError
from node.mongo import connect
from node.running import join, of_a_stack
from node.settings import load
from node.table import Heading, Number, show

_DEADLINE_S = 60.0
#: The end of the year 9999, the last that dates of Python hold, domain milliseconds.
_LAST_MS = 253_402_300_799_999


def main(argv: list[str]) -> int:
    """Runs `forno trails …` and returns its exit code."""
    words = _parser().parse_args(argv)
    join("mongo_url", words.mongo, words.dir)
    try:
        return asyncio.run(_run(words))
    except KeyboardInterrupt:
        return 130


def when(text: str) -> int:
    """Domain milliseconds: as they are, or of an ISO 8601 time (UTC where it names no zone)."""
    if re.fullmatch("[+-]?[0-9]+", text, re.ASCII):
        return arguments.whole(0, _LAST_MS)(text)
    try:
        at = datetime.fromisoformat(text)
        at_ms = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        message = f"{text[:60]!r} is neither milliseconds nor like 2026-11-23T12:30:00"
        raise argparse.ArgumentTypeError(message) from error
    return arguments.whole(0, _LAST_MS)(str(at_ms))


def _parser() -> argparse.ArgumentParser:
    parser = arguments.Parser(prog="forno trails", description=__doc__)
    shared = arguments.Parser(add_help=False, parents=[of_a_stack()])
    shared.add_argument("--mongo", help="URL of MongoDB (default: of the running stack)")
    shared.add_argument("--city", type=arguments.name, required=True)
    shared.add_argument("--json", action="store_true", help="one JSON document a line")
    verbs = parser.add_subparsers(dest="verb", required=True)
    where = verbs.add_parser("where", parents=[shared], help="where a rider was at a time")
    where.add_argument("--rider", type=arguments.whole(1, arguments.MAX_RIDER), required=True)
    where.add_argument("--at", type=when, required=True, help="ISO 8601, or domain milliseconds")
    near = verbs.add_parser("near", parents=[shared], help="who was near a place at a time")
    near.add_argument("--lat", type=arguments.number(-90, 90), required=True)
    near.add_argument("--lng", type=arguments.number(-180, 180), required=True)
    near.add_argument("--at", type=when, required=True)
    near.add_argument("--radius", type=arguments.number(1, MAX_RADIUS_M), default=500.0, help="metres (500)")
    near.add_argument("--limit", type=arguments.whole(1, MAX_NEAR), default=100)
    distance = verbs.add_parser("distance", parents=[shared], help="how far a rider drove")
    distance.add_argument("--rider", type=arguments.whole(1, arguments.MAX_RIDER), required=True)
    distance.add_argument("--from", type=when, required=True, dest="begin")
    distance.add_argument("--to", type=when, required=True, dest="end")
    return parser


async def _run(words: argparse.Namespace) -> int:
    settings = load(TrailSettings)
    mongo = connect(settings.mongo_url)
    trails = TrailService(
        MongoHotTrails(mongo),
        ParquetArchive(settings.archive_url) if settings.archive_url else None,
        settings.clock(),
        error_m=settings.trail_error_m,
        keep_h=settings.trail_ttl_h,
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await _answer(trails, words)
    except FornoError as error:
        print(f"forno trails: {error} [{error.reason}]", file=sys.stderr)
        return 1
    except TimeoutError:
        print(f"forno trails: no answer within {_DEADLINE_S:g} s", file=sys.stderr)
        return 1
    finally:
        await mongo.close()
    return 0


async def _answer(trails: TrailService, words: argparse.Namespace) -> None:
    found: list[Whereabouts | Near | Driven]
    if words.verb == "where":
        found = [await trails.where(words.city, words.rider, words.at)]
    elif words.verb == "near":
        at = (round(words.lat * 1e7), round(words.lng * 1e7))
        found = [*await trails.near(words.city, at, words.at, words.radius, words.limit)]
    else:
        found = [await trails.distance(words.city, words.rider, words.begin, words.end)]
    if words.json:
        for one in found:
            print(json.dumps(asdict(one)))
    else:
        tell(found)


def tell(found: Sequence[Whereabouts | Near | Driven]) -> None:
    """Print answers of one kind as a table."""
    rows = [_row(one) for one in found]
    if not rows:
        print("nobody")
        return
    show("", [heading for heading, _ in rows[0]], [[cell for _, cell in row] for row in rows])


def _row(found: Whereabouts | Near | Driven) -> list[tuple[Heading, str]]:
    """An answer, cell by cell, with the headings of its kind."""
    if isinstance(found, Near):
        return [(Number("distance"), f"{found.distance_m:.1f} m"), *_row(found.where)]
    rider: tuple[Heading, str] = (Number("rider"), str(found.rider_id))
    if isinstance(found, Driven):
        km, minutes = found.distance_m / 1000, found.heard_ms / 60_000
        return [rider, (Number("drove"), f"{km:.2f} km"), (Number("heard of for"), f"{minutes:.1f} min")]
    sure = "every fix known" if not found.error_m else f"within {found.error_m:g} m"
    lat, lng = (f"{value / 1e7:.6f}" for value in (found.lat_e7, found.lng_e7))
    return [rider, (Number("lat"), lat), (Number("lng"), lng), ("known", sure)]
