"""Print orders for `forno orders get` and `recent`: times in the city's own time zone, lines of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from orders.model import Order
from shard_router.cities.catalogue import City

WIDTH = 80
_NAME_WIDTH = 12


@dataclass(frozen=True, slots=True)
class StatusTotal:
    """Orders of a city in one status, and what they cost."""

    status: str
    orders: int
    minor: int
    currency: str


def zone_of(city: str, cities: Mapping[str, City]) -> tzinfo:
    """The time zone of a city; UTC for one that the catalogue does not have (any more)."""
    known = cities.get(city)
    return ZoneInfo(known.time_zone) if known is not None else UTC


def order_text(order: Order, source: str, database: str, zone: tzinfo) -> str:
    """An order and its history, a line each; long values go on in the next line."""
    restaurant = order.basket.restaurant
    lines = [
        ("order", f"{order.order_id} ({source}, {database})"),
        ("of", f"{order.user_id}, {restaurant.name or restaurant.restaurant_id}"),
        ("city", f"{order.basket.city} (times are {zone})"),
        ("total", f"{order.price.total_minor} {order.price.currency} (minor units)"),
        *((line.status, f"{_time(line.at_ms, zone)} {line.reason}".rstrip()) for line in order.history),
    ]
    return "\n".join(_line(name, value) for name, value in lines)


def recent_text(city: str, since: datetime, zone: tzinfo, totals: Sequence[StatusTotal]) -> str:
    """Orders of a city by status, since a time."""
    title = f"{city} since {since.astimezone(zone):%Y-%m-%d %H:%M} ({zone})"
    if not totals:
        return f"{title}: no orders"
    header = f"{'status':<11} {'orders':>9} {'minor units':>16} currency"
    rows = [f"{row.status:<11} {row.orders:>9} {row.minor:>16} {row.currency}" for row in totals]
    return "\n".join([title, header, *rows])


def _time(at_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(" ", "seconds")


def _line(name: str, value: str) -> str:
    return textwrap.fill(
        value,
        WIDTH,
        initial_indent=f"{name:<{_NAME_WIDTH}}",
        subsequent_indent=" " * _NAME_WIDTH,
        break_on_hyphens=False,
    )
