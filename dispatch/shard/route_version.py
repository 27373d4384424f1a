"""Versions of riders' routes, which apps use to drop an older route than the one they show."""

from __future__ import annotations

from dataclasses import dataclass

_TICK_BITS = 32


@dataclass(frozen=True, slots=True, order=True)
class RouteVersion:
    """The home city's tick in which the rider's stops or loan changed last, at least the one its owner began after.

    While the rider is lent: the home's present tick, and the borrower's version of the same kind. On the wire it is one
    number, the home's tick in the upper half. Ticks only grow, so it does: lent out, back home, over changes of owner.
    """

    home_tick: int
    borrower_tick: int = 0

    def __post_init__(self) -> None:
        for name, tick in (("home_tick", self.home_tick), ("borrower_tick", self.borrower_tick)):
            if not 0 <= tick < 1 << _TICK_BITS:
                raise ValueError(f"{name} must be within 0..{(1 << _TICK_BITS) - 1}, got {tick}")

    def __int__(self) -> int:
        """The number on the wire, `tracking.v1.Route.version`."""
        return self.home_tick << _TICK_BITS | self.borrower_tick

    @classmethod
    def of(cls, number: int) -> RouteVersion:
        """From the number on the wire."""
        return cls(number >> _TICK_BITS, number & ((1 << _TICK_BITS) - 1))

    def lent_by(self, home_tick: int) -> RouteVersion:
        """The home city's version, in this tick, of a route that has this version in the borrowing city."""
        return RouteVersion(home_tick, self.home_tick)
