"""Reads an MDRPLib instance: four tab-separated files with a header, in metres and whole minutes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.documents import BadDocument, named, read_text, shown
from simulator.replay.errors import BadInstance, BadLine

Xy = tuple[int, int]
"""A place on the plane, in metres."""


@dataclass(frozen=True, slots=True)
class InstanceOrder:
    """One order; times in minutes."""

    name: str
    xy: Xy
    placed: int
    restaurant: str
    ready: int


@dataclass(frozen=True, slots=True)
class Courier:
    """One shift of a courier; times in minutes."""

    name: str
    xy: Xy
    on: int
    off: int


@dataclass(frozen=True, slots=True)
class Rules:
    """`instance_parameters.txt`; times in minutes, pay in money."""

    metres_per_minute: int
    pickup_service: int
    dropoff_service: int
    target_click_to_door: int
    maximum_click_to_door: int
    pay_per_order: int
    guaranteed_pay_per_hour: int


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance; names are unique over all kinds, orders and couriers in the order of the files."""

    name: str
    orders: tuple[InstanceOrder, ...]
    couriers: tuple[Courier, ...]
    restaurants: dict[str, Xy]
    rules: Rules


ORDERS = ("order", "x", "y", "placement_time", "restaurant", "ready_time")
COURIERS = ("courier", "x", "y", "on_time", "off_time")
RESTAURANTS = ("restaurant", "x", "y")
RULES = (
    "meters_per_minute",
    "pickup service minutes",
    "dropoff service minutes",
    "target click-to-door",
    "maximum click-to-door",
    "pay per order",
    "guaranteed pay per hour",
)


#: Places lie within this, metres: any projected coordinates do, and the products of two still fit 64 bits.
MAX_METRES: Final = 10_000_000
#: The last minute of an instance: the replay walks through every one.
MAX_MINUTE: Final = 31 * 24 * 60
#: Range of each column and value that is a number; times have a further bound, see `_order` and `_courier`.
_RANGES: Final = {
    "x": (-MAX_METRES, MAX_METRES),
    "y": (-MAX_METRES, MAX_METRES),
    "meters_per_minute": (1, 10_000),
    "pickup service minutes": (0, MAX_MINUTE),
    "dropoff service minutes": (0, MAX_MINUTE),
    "target click-to-door": (1, MAX_MINUTE),
    "maximum click-to-door": (1, MAX_MINUTE),
    "pay per order": (0, 1_000_000),
    "guaranteed pay per hour": (0, 1_000_000),
}
#: More digits than any number in range has, leading zeros among them.
_MAX_DIGITS: Final = 18
_MAX_FILE_BYTES: Final = 64 << 20


def read_instance(folder: Path) -> Instance:
    """The instance in `folder`. Raises `BadInstance`, which names every bad line of the four files."""
    if not folder.is_dir():
        raise BadInstance([BadLine(folder, 0, "no such folder")])
    bad: list[BadLine] = []
    kinds: dict[str, str] = {}
    restaurants = {row.name: row.xy() for row in _rows(folder / "restaurants.txt", RESTAURANTS, bad, kinds)}
    instance = Instance(
        name=folder.resolve().name,
        orders=tuple(_order(row, restaurants) for row in _rows(folder / "orders.txt", ORDERS, bad, kinds)),
        couriers=tuple(_courier(row) for row in _rows(folder / "couriers.txt", COURIERS, bad, kinds)),
        restaurants=restaurants,
        rules=_rules(folder / "instance_parameters.txt", bad),
    )
    if bad:
        raise BadInstance(bad)
    return instance


@dataclass(frozen=True, slots=True)
class _Row:
    """A line below the header. What is wrong with a value is added to `bad`, and the value taken as its lower bound."""

    file: Path
    line: int
    fields: Mapping[str, str]
    bad: list[BadLine]

    @property
    def name(self) -> str:
        """The first column as it is used: without spaces around it."""
        return next(iter(self.fields.values()))

    def number(self, column: str, low: int | None = None) -> int:
        """A whole number of the column's range, or from `low` to the last minute."""
        least, most = _RANGES[column] if low is None else (low, MAX_MINUTE)
        text = self.fields[column]
        if not re.fullmatch("[+-]?[0-9]+", text, re.ASCII):
            self.refuse(f"{column} is no whole number: {shown(text)}")
        elif len(text) > _MAX_DIGITS or not least <= int(text) <= most:
            self.refuse(f"{column} must be within {least}..{most}, got {shown(text)}")
        else:
            return int(text)
        return least

    def xy(self) -> Xy:
        return self.number("x"), self.number("y")

    def refuse(self, reason: str) -> None:
        self.bad.append(BadLine(self.file, self.line, reason))


def _rows(file: Path, header: tuple[str, ...], bad: list[BadLine], kinds: dict[str, str]) -> Iterator[_Row]:
    """Rows below the header; the first column is a name and may occur once in all files.

    `kinds` says what each name so far is of: a history names places by orders, couriers and restaurants alike.
    """
    lines = _lines(file, header, bad)
    seen: set[str] = set()
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        values = [value.strip() for value in line.split("\t")]
        row = _Row(file, number, dict(zip(header, values, strict=False)), bad)
        if len(values) != len(header):
            row.refuse(f"{len(header)} fields expected, got {len(values)}")
            continue
        if not row.name or not row.name.isprintable():
            row.refuse(f"{header[0]} must be a name, got {shown(row.name)}")
        other = kinds.setdefault(row.name, header[0])
        if row.name in seen:
            row.refuse(f"{header[0]} {row.name} is there twice")
        elif other != header[0]:
            row.refuse(f"{header[0]} {row.name} has the name of a {other}")
        seen.add(row.name)
        yield row


def _lines(file: Path, header: tuple[str, ...], bad: list[BadLine]) -> list[str]:
    """The lines below the header; none if the file cannot be used."""
    if not file.exists():
        bad.append(BadLine(file, 0, "file is missing"))
        return []
    try:
        lines = read_text(file, _MAX_FILE_BYTES).splitlines()
    except BadDocument as error:
        bad.append(BadLine(file, 0, named(error.flaws)))
        return []
    if not lines or tuple(field.strip() for field in lines[0].split("\t")) != header:
        bad.append(BadLine(file, 1, f"header must be {', '.join(header)}, tab-separated"))
        return []
    return lines[1:]


def _order(row: _Row, restaurants: Mapping[str, Xy]) -> InstanceOrder:
    restaurant = row.fields["restaurant"]
    if restaurant not in restaurants:
        row.refuse(f"restaurant {shown(restaurant)} is not in restaurants.txt")
    placed = row.number("placement_time", 0)
    return InstanceOrder(row.name, row.xy(), placed, restaurant, row.number("ready_time", placed))


def _courier(row: _Row) -> Courier:
    on = row.number("on_time", 0)
    return Courier(row.name, row.xy(), on, row.number("off_time", on))


def _rules(file: Path, bad: list[BadLine]) -> Rules:
    before = len(bad)
    rows = list(_rows(file, RULES, bad, {}))
    if len(rows) != 1:
        if len(bad) == before:
            bad.append(BadLine(file, 0, f"one line of values expected, got {len(rows)}"))
        return Rules(1, 0, 0, 1, 1, 0, 0)
    row = rows[0]
    rules = Rules(*(row.number(column) for column in RULES))
    for column, value in (("pickup", rules.pickup_service), ("dropoff", rules.dropoff_service)):
        if value % 2:
            row.refuse(f"{column} service minutes must be even, got {value}")
    return rules
