"""The tax on a delivered meal, by city. Data, to be checked by an accountant before real money moves.

Standard or reduced rates on prepared food as published for 2026; where the law wants consumer prices to include tax,
they do. Both meal and delivery are taxed at the city's rate; tips are not.
"""

from __future__ import annotations

from collections.abc import Mapping

from orders.money import TaxRule


def _within(rate_e5: int) -> TaxRule:
    return TaxRule(rate_e5, included=True)


def _on_top(rate_e5: int) -> TaxRule:
    return TaxRule(rate_e5, included=False)


TAXES: Mapping[str, TaxRule] = {
    "la-serena": _within(19_000),
    "coquimbo": _within(19_000),
    "instance": _within(0),
    "santiago": _within(19_000),
    "buenos-aires": _within(21_000),
    "sao-paulo": _within(3_200),
    "mexico-city": _within(16_000),
    "new-york": _on_top(8_875),
    "chicago": _on_top(10_750),
    "los-angeles": _on_top(9_750),
    "london": _within(20_000),
    "paris": _within(10_000),
    "madrid": _within(10_000),
    "berlin": _within(7_000),
    "rome": _within(10_000),
    "istanbul": _within(10_000),
    "cairo": _within(14_000),
    "lagos": _within(7_500),
    "nairobi": _within(16_000),
    "mumbai": _on_top(5_000),
    "bengaluru": _on_top(5_000),
    "singapore": _within(9_000),
    "jakarta": _on_top(10_000),
    "tokyo": _within(8_000),
    "seoul": _within(10_000),
    "sydney": _within(10_000),
}
