"""Reads an MDRPLib instance: four tab-separated files with a header, in metres and whole minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simulator.replay.errors import BadInstance

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
    """An instance; names are unique within each kind, orders and couriers in the order of the files."""

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


def read_instance(folder: Path) -> Instance:
    """The instance in `folder`. Raises BadInstance naming file and line."""
    if not folder.is_dir():
        raise BadInstance(folder, 0, "no such folder")
    restaurants = {row.text("restaurant"): row.xy() for row in _rows(folder / "restaurants.txt", RESTAURANTS)}
    return Instance(
        name=folder.resolve().name,
        orders=tuple(_order(row, restaurants) for row in _rows(folder / "orders.txt", ORDERS)),
        couriers=tuple(_courier(row) for row in _rows(folder / "couriers.txt", COURIERS)),
        restaurants=restaurants,
        rules=_rules(folder / "instance_parameters.txt"),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    file: Path
    line: int
    fields: dict[str, str]

    def text(self, name: str) -> str:
        value = self.fields[name].strip()
        if not value:
            raise BadInstance(self.file, self.line, f"{name} is empty")
        return value

    def number(self, name: str, low: int | None = None) -> int:
        try:
            value = int(self.fields[name])
        except ValueError:
            raise BadInstance(self.file, self.line, f"{name} is no whole number: {self.fields[name]!r}") from None
        if low is not None and value < low:
            raise BadInstance(self.file, self.line, f"{name} must be at least {low}, got {value}")
        return value

    def xy(self) -> Xy:
        return self.number("x"), self.number("y")


def _rows(file: Path, header: tuple[str, ...]) -> Iterator[_Row]:
    """Rows below the header; the first column is a name and may occur once."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise BadInstance(file, 0, "file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInstance(file, 0, f"cannot be read: {error}") from error
    if not lines or tuple(f.strip() for f in lines[0].split("\t")) != header:
        raise BadInstance(file, 1, f"header must be {', '.join(header)}, tab-separated")
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != len(header):
            raise BadInstance(file, number, f"{len(header)} fields expected, got {len(fields)}")
        if fields[0] in seen:
            raise BadInstance(file, number, f"{header[0]} {fields[0]} is there twice")
        seen.add(fields[0])
        yield _Row(file, number, dict(zip(header, fields, strict=True)))


def _order(row: _Row, restaurants: dict[str, Xy]) -> InstanceOrder:
    restaurant = row.text("restaurant")
    if restaurant not in restaurants:
        raise BadInstance(row.file, row.line, f"restaurant {restaurant} is not in restaurants.txt")
    placed = row.number("placement_time", 0)
    return InstanceOrder(row.text("order"), row.xy(), placed, restaurant, row.number("ready_time", placed))


def _courier(row: _Row) -> Courier:
    on = row.number("on_time", 0)
    return Courier(row.text("courier"), row.xy(), on, row.number("off_time", on))


def _rules(file: Path) -> Rules:
    rows = list(_rows(file, RULES))
    if len(rows) != 1:
        raise BadInstance(file, 0, f"one line of values expected, got {len(rows)}")
    row = rows[0]
    rules = Rules(
        metres_per_minute=row.number(RULES[0], 1),
        pickup_service=row.number(RULES[1], 0),
        dropoff_service=row.number(RULES[2], 0),
        target_click_to_door=row.number(RULES[3], 1),
        maximum_click_to_door=row.number(RULES[4], 1),
        pay_per_order=row.number(RULES[5], 0),
        guaranteed_pay_per_hour=row.number(RULES[6], 0),
    )
    for name, value in (("pickup", rules.pickup_service), ("dropoff", rules.dropoff_service)):
        if value % 2:
            raise BadInstance(file, row.line, f"{name} service minutes must be even, got {value}")
    return rules
