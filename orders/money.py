"""Arithmetic of integer minor units. Nothing here is a float, nothing is lost: what is split adds up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_WHOLE = 100_000


def divided(numerator: int, denominator: int) -> int:
    """The quotient of two integers that are not negative, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def split(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """`amount` in proportion to the weights (largest remainder; of equals the first). The parts add up to the amount.

    An amount that is at most the sum of the weights takes from no part more than its weight, so that splitting one
    refund after the other by what is left of each part ends with nothing left of any.
    """
    whole = sum(weights)
    if whole == 0:
        return (amount, *[0] * (len(weights) - 1))
    parts = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    for place in sorted(range(len(weights)), key=lambda place: -remainders[place])[: amount - sum(parts)]:
        parts[place] += 1
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class TaxRule:
    """A tax in hundred-thousandths (8.875% is 8875), within the prices or on top of them. Raises `ValueError`."""

    rate_e5: int
    included: bool

    def __post_init__(self) -> None:
        if not 0 <= self.rate_e5 < _WHOLE:
            raise ValueError(f"a tax rate of {self.rate_e5} hundred-thousandths: 0..{_WHOLE - 1}")

    def of(self, base_minor: int) -> int:
        """The tax in (or on) an amount, rounded once, half up: never off by more than half a minor unit."""
        return divided(base_minor * self.rate_e5, _WHOLE + (self.rate_e5 if self.included else 0))


@dataclass(frozen=True, slots=True)
class Parts:
    """What a total is made of, each part without tax: `food`, `delivery` and `tip` are others' or our income, the tax
    is the state's. They add up to the total.
    """

    food_minor: int
    delivery_minor: int
    tip_minor: int
    tax_minor: int
