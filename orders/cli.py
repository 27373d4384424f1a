"""`forno orders get | recent | archive | refund`: all but the refund with or without a running service."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from node import postgres
from node.arguments import Parser, checked, name, whole
from node.errors import FornoError
from node.running import join, of_a_stack
from node.settings import load
from orders.archive import cli as archive_cli
from orders.archive.files import ArchiveFiles
from orders.archive.parquet_orders import ParquetOrders
from orders.archive.reads import ArchivedReads
from orders.config import OrdersSettings
from orders.ids import checked_order_id
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.statements import SQL
from orders.payments import cli as payments_cli
from orders.ranges import RangeMap
from orders.show import StatusTotal, order_text, recent_text, zone_of
from shard_router.cities.catalogue import City, load_cities


def main(argv: list[str]) -> int:
    """0 when it was found or done, 1 when not, 2 for nonsense."""
    arguments = _parser().parse_args(argv)
    if arguments.verb == "refund":
        return asyncio.run(payments_cli.refund(arguments))
    join("postgres_url", folder=arguments.dir)
    settings = load(OrdersSettings)
    try:
        verb = {"get": _get, "recent": _recent, "archive": archive_cli.archive}[arguments.verb]
        return asyncio.run(verb(settings, arguments))
    except FornoError as error:
        print(f"forno orders: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    common = Parser(add_help=False, parents=[of_a_stack()])
    common.add_argument("--json", action="store_true", help="for machines")
    parser = Parser(prog="forno orders", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    get = verbs.add_parser("get", parents=[common], help="an order, from its row or from the archive")
    get.add_argument("order", type=checked(checked_order_id), help="the order's id")
    recent = verbs.add_parser("recent", parents=[common], help="a city's orders of the last hours, by status")
    recent.add_argument("city", type=name)
    recent.add_argument("--hours", type=whole(1, 168), default=24, metavar="N", help="1..168, default 24")
    archive_cli.add_arguments(
        verbs.add_parser("archive", parents=[common], help="move old months to the archive ($FORNO_ARCHIVE_URL)")
    )
    payments_cli.add_arguments(verbs.add_parser("refund", parents=[common], help="give captured money back"))
    return parser


def _cities() -> dict[str, City]:
    return {city.slug: city for city in load_cities()}


async def _get(settings: OrdersSettings, arguments: argparse.Namespace) -> int:
    order_id = arguments.order
    database = RangeMap.parse(settings.orders_ranges).of_order(order_id)
    pool = await postgres.connect(settings.database(database), max_size=2)
    try:
        rows = PostgresReads(pool)
        order, source = await rows.get(order_id), "hot"
        if order is None:
            both = ArchivedReads(rows, pool, ParquetOrders(ArchiveFiles.at(settings.archive_url)))
            order, source = await both.get(order_id), "archive"
    finally:
        await pool.close()
    if order is None:
        print(f"forno orders: no order {order_id}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"source": source, "database": database, **asdict(order)}, indent=2))
    else:
        print(order_text(order, source, database, zone_of(order.basket.city, _cities())))
    return 0


async def _recent(settings: OrdersSettings, arguments: argparse.Namespace) -> int:
    since = datetime.now(UTC) - timedelta(hours=arguments.hours)
    totals = await _totals(settings, arguments.city, since)
    if not totals and arguments.city not in _cities():
        print(f"forno orders: there is no city {arguments.city!r}: see `forno cities list`", file=sys.stderr)
        return 2
    if arguments.json:
        found = {"city": arguments.city, "hours": arguments.hours, "statuses": [asdict(one) for one in totals]}
        print(json.dumps(found, indent=2))
    else:
        print(recent_text(arguments.city, since, zone_of(arguments.city, _cities()), totals))
    return 0


async def _totals(settings: OrdersSettings, city: str, since: datetime) -> list[StatusTotal]:
    """Sums over all databases."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for part in RangeMap.parse(settings.orders_ranges).ranges:
        async with postgres.connection(settings.database(part.database)) as connection:
            for row in await connection.fetch(SQL.recent, city, since):
                counts = found[row["status"], row["currency"]]
                counts[0] += row["orders"]
                counts[1] += row["minor"]
    return [
        StatusTotal(status, orders, minor, currency) for (status, currency), (orders, minor) in sorted(found.items())
    ]
