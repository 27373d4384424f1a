"""Events of a replay, in minutes and in the instance's own names.

It is all that the checker, the metrics and the solution files see: no engine type, no millisecond.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Commitment:
    """Binding of a courier at `at` to these orders (the whole bundle, in the order of drops)."""

    at: int
    courier: str
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pickup:
    """A courier took a bundle at the counter."""

    at: int
    courier: str
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """An order reached its customer."""

    at: int
    courier: str
    order: str


@dataclass(frozen=True, slots=True)
class Leg:
    """A courier left `origin` for `destination`: names of couriers (start places), restaurants or orders."""

    departed: int
    courier: str
    origin: str
    destination: str


@dataclass(slots=True)
class History:
    """All of a replay, each list in the order of time."""

    commitments: list[Commitment] = field(default_factory=list)
    pickups: list[Pickup] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    moves: list[Leg] = field(default_factory=list)
