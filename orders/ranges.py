"""The range map: which database holds which users. It is data, not code.

A user's shard point (`ids.point_of_user`) is a number in 0..65535; a range of points lives in one database. Splitting a
shard would move the upper part of its range, with no id changed and no other shard touched; nothing does it yet: rows
are moved by hand, with the service stopped.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from orders.ids import POINTS, point_of_order, point_of_user
from orders.model import OrderId, UserId


@dataclass(frozen=True, slots=True)
class Range:
    """Points `first`..`last`, both included, live in `database`."""

    first: int
    last: int
    database: str

    def holds(self, order_id: OrderId) -> bool:
        """Whether the order lives here."""
        return self.first <= point_of_order(order_id) <= self.last


@dataclass(frozen=True, slots=True)
class RangeMap:
    """Ranges that cover every point exactly once. Raises `ValueError` otherwise."""

    ranges: tuple[Range, ...]

    def __post_init__(self) -> None:
        expected = 0
        for part in self.ranges:
            if part.first != expected or part.last < part.first:
                raise ValueError(f"range {part.first}-{part.last}: the next point to cover is {expected}")
            expected = part.last + 1
        if expected != POINTS:
            raise ValueError(f"points {expected}-{POINTS - 1} belong to no database")
        names = [part.database for part in self.ranges]
        if len(set(names)) != len(names):
            raise ValueError("a database holds one range only")

    @classmethod
    def parse(cls, text: str) -> RangeMap:
        """Reads `0-32767=orders_0,32768-65535=orders_1`. Raises `ValueError`."""
        return cls(tuple(_range(part.strip()) for part in text.split(",")))

    @property
    def databases(self) -> Sequence[str]:
        """All databases, in the order of their ranges."""
        return [part.database for part in self.ranges]

    def of_user(self, user_id: UserId) -> str:
        """The database of a user's orders."""
        return self._of_point(point_of_user(user_id))

    def of_order(self, order_id: OrderId) -> str:
        """The database of an order, from its id alone."""
        return self._of_point(point_of_order(order_id))

    def _of_point(self, point: int) -> str:
        return self.ranges[bisect_right(self.ranges, point, key=lambda part: part.first) - 1].database


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ByRange(Generic[T]):
    """What there is once for each database, found by whose order it is about. `parts` are keyed by database."""

    ranges: RangeMap
    parts: Mapping[str, T]

    def of_user(self, user_id: UserId) -> T:
        """That of the database with the user's orders."""
        return self.parts[self.ranges.of_user(user_id)]

    def of_order(self, order_id: OrderId) -> T:
        """That of the database with the order."""
        return self.parts[self.ranges.of_order(order_id)]


def _range(text: str) -> Range:
    points, _, database = text.partition("=")
    first, _, last = points.partition("-")
    if not database or not first.isdigit() or not last.isdigit():
        raise ValueError(f"{text!r} is not FIRST-LAST=DATABASE")
    return Range(int(first), int(last), database)
