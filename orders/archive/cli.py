"""`forno orders archive`: move old months to the archive, database by database."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import structlog

from node.arguments import whole
from node.telemetry import configure_logging
from orders.archive.archiver import ArchivedMonth, Archiver, ArchiveReport, PostponedMonth, months_before
from orders.archive.files import ArchiveFiles
from orders.config import OrdersSettings
from orders.ranges import RangeMap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the verb."""
    parser.add_argument(
        "--older-than-months", type=whole(1, 1200), metavar="N", help="1.., default: $FORNO_ARCHIVE_AFTER_MONTHS or 6"
    )


async def archive(settings: OrdersSettings, arguments: argparse.Namespace) -> int:
    """Archive what is old, and print what was done; always 0."""
    months = arguments.older_than_months or settings.archive_after_months
    older_than = months_before(datetime.now(UTC), months)
    report = await archive_all(settings, older_than, configure_logging("archive", settings.log_level))
    if arguments.json:
        print(json.dumps(_document(settings.archive_url, older_than, report), indent=2))
    else:
        print("\n".join(_lines(report)) or f"nothing ended before {older_than:%Y-%m-%d}")
    return 0


async def archive_all(
    settings: OrdersSettings, older_than: datetime, log: structlog.stdlib.BoundLogger
) -> ArchiveReport:
    """Archive the old months of every database, one after the other."""
    files, report = ArchiveFiles.at(settings.archive_url), ArchiveReport()
    for part in RangeMap.parse(settings.orders_ranges).ranges:
        one = await Archiver(part.database, settings.database(part.database), files, log).archive(older_than)
        report.months.extend(one.months)
        report.postponed.extend(one.postponed)
    return report


def _document(url: str, older_than: datetime, report: ArchiveReport) -> dict[str, object]:
    return {
        "url": url,
        "older_than": older_than.isoformat(),
        "months": _rows(report.months),
        "put_off": _rows(report.postponed),
    }


def _rows(months: Sequence[ArchivedMonth | PostponedMonth]) -> list[dict[str, object]]:
    return [asdict(one) | {"month": f"{one.month:%Y-%m}"} for one in months]


def _lines(report: ArchiveReport) -> list[str]:
    return [
        *(f"{one.database} {one.month:%Y-%m}: {one.rows} orders in {len(one.files)} files" for one in report.months),
        *(f"{one.database} {one.month:%Y-%m}: left, {one.why}" for one in report.postponed),
    ]
