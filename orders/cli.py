"""`forno orders get | recent | archive | refund`: all but the refund with or without a running service."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from node import postgres
from node.errors import FornoError, Invalid
from node.running import setting
from node.settings import load
from node.telemetry import configure_logging
from orders.archive.archiver import Archived, Archiver, Month, months_before
from orders.archive.cold import ColdOrders
from orders.archive.files import Files
from orders.archive.reads import ArchivedReads
from orders.config import OrdersSettings
from orders.ids import checked_order_id
from orders.model import Order
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.schema import SQL
from orders.payments import cli as payments_cli
from orders.ranges import RangeMap


def main(argv: list[str]) -> int:
    """0 when it was found or done, 1 when not, 2 for nonsense."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="for machines")
    parser = argparse.ArgumentParser(prog="forno orders", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    get = verbs.add_parser("get", parents=[common], help="an order, from its row or from the archive")
    get.add_argument("order", help="the order's id")
    recent = verbs.add_parser("recent", parents=[common], help="a city's orders of the last hours, by status")
    recent.add_argument("city")
    recent.add_argument("--hours", type=int, default=24, metavar="N", help="1..168, default 24")
    archive = verbs.add_parser("archive", parents=[common], help="move old months to the archive ($FORNO_ARCHIVE_URL)")
    archive.add_argument(
        "--older-than-months", type=_months, metavar="N", help="1.., default: $FORNO_ARCHIVE_AFTER_MONTHS or 6"
    )
    payments_cli.add_arguments(verbs.add_parser("refund", parents=[common], help="give captured money back"))
    words = parser.parse_args(argv)
    if words.verb == "refund":
        return asyncio.run(payments_cli.refund(words))
    settings = _settings()
    try:
        verb = {"get": _get, "recent": _recent, "archive": _archive}[words.verb]
        return asyncio.run(verb(settings, words))
    except FornoError as error:
        print(f"forno orders: {error}", file=sys.stderr)
        return 1


def _months(word: str) -> int:
    """At least one: the present month takes new orders. Raises `ArgumentTypeError`."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError("a whole number of months, at least 1")
    return int(word)


def _settings() -> OrdersSettings:
    """Those of the environment, else of the stack that runs here."""
    os.environ["FORNO_POSTGRES_URL"] = setting("postgres_url")
    if "FORNO_ARCHIVE_URL" not in os.environ:
        with suppress(SystemExit):  # no stack here: the default folder
            os.environ["FORNO_ARCHIVE_URL"] = setting("archive_url")
    return load(OrdersSettings)


async def _get(settings: OrdersSettings, words: argparse.Namespace) -> int:
    order_id = checked_order_id(words.order)
    database = RangeMap.parse(settings.orders_ranges).of_order(order_id)
    pool = await postgres.connect(settings.database(database), max_size=2)
    try:
        hot = PostgresReads(pool)
        order, source = await hot.get(order_id), "hot"
        if order is None:
            cold = ArchivedReads(hot, pool, ColdOrders(Files.at(settings.archive_url)))
            order, source = await cold.get(order_id), "archive"
    finally:
        await pool.close()
    if order is None:
        print(f"forno orders: no order {order_id}", file=sys.stderr)
        return 1
    found = {"source": source, "database": database, **asdict(order)}
    print(json.dumps(found, indent=2) if words.json else _told(order, source, database))
    return 0


async def _recent(settings: OrdersSettings, words: argparse.Namespace) -> int:
    if not 1 <= words.hours <= 168:
        raise Invalid("hours", "1..168: what is older is for the archive's own queries", reason="OUT_OF_RANGE")
    since = datetime.now(UTC) - timedelta(hours=words.hours)
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for part in RangeMap.parse(settings.orders_ranges).ranges:
        async with postgres.connection(settings.database(part.database)) as connection:
            for row in await connection.fetch(SQL.recent, words.city, since):
                counts = found[row["status"], row["currency"]]
                counts[0] += row["orders"]
                counts[1] += row["minor"]
    rows = [
        {"status": status, "orders": orders, "minor": minor, "currency": currency}
        for (status, currency), (orders, minor) in sorted(found.items())
    ]
    if words.json:
        print(json.dumps({"city": words.city, "hours": words.hours, "statuses": rows}, indent=2))
    else:
        lines = [f"{row['status']:<11} {row['orders']:>7} {row['minor']:>12} {row['currency']}" for row in rows]
        print("\n".join(lines) or f"no orders of {words.city} in the last {words.hours} hours")
    return 0


async def _archive(settings: OrdersSettings, words: argparse.Namespace) -> int:
    months = words.older_than_months or settings.archive_after_months
    log = configure_logging("archive", settings.log_level)
    older_than = months_before(datetime.now(UTC), months)
    done = await archive_all(settings, older_than, log)
    if words.json:
        months, put_off = (
            [asdict(one) | {"month": f"{one.month:%Y-%m}"} for one in part] for part in (done.months, done.put_off)
        )
        told = {"url": settings.archive_url, "older_than": older_than.isoformat(), "months": months, "put_off": put_off}
        print(json.dumps(told, indent=2))
    else:
        lines = [
            *map(_line, done.months),
            *(f"{one.database} {one.month:%Y-%m}: left, {one.why}" for one in done.put_off),
        ]
        print("\n".join(lines) or f"nothing ended before {older_than:%Y-%m-%d}")
    return 0


async def archive_all(settings: OrdersSettings, older_than: datetime, log: structlog.stdlib.BoundLogger) -> Archived:
    """Archives the old months of every database, one after the other."""
    files, done = Files.at(settings.archive_url), Archived()
    for part in RangeMap.parse(settings.orders_ranges).ranges:
        one = await Archiver(part.database, settings.database(part.database), files, log).archive(older_than)
        done.months.extend(one.months)
        done.put_off.extend(one.put_off)
    return done


def _line(month: Month) -> str:
    return f"{month.database} {month.month:%Y-%m}: {month.rows} orders in {len(month.files)} files"


def _told(order: Order, source: str, database: str) -> str:
    lines: list[tuple[str, Any]] = [
        ("order", f"{order.order_id} ({source}, {database})"),
        ("of", f"{order.user_id}, {order.basket.restaurant.name or order.basket.restaurant.restaurant_id}"),
        ("city", order.basket.city),
        ("total", f"{order.price.total_minor} {order.price.currency} (minor units)"),
        *((line.status, f"{_time(line.at_ms)} {line.reason}".rstrip()) for line in order.history),
    ]
    return "\n".join(f"{name:<11} {value}" for name, value in lines)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(" ", "seconds")
