"""The city that the benches of motion load, and where its people are."""

from __future__ import annotations

from random import Random

CITY = "la-serena"
#: Middle of the city, 1e-7 degrees.
CENTER_E7 = (-299_027_000, -712_520_000)
#: Half the side of the square that people are in, 1e-7 degrees: about two kilometres.
HALF_E7 = 180_000


def somewhere(rng: Random) -> tuple[int, int]:
    """A place in the square, 1e-7 degrees."""
    return CENTER_E7[0] + rng.randint(-HALF_E7, HALF_E7), CENTER_E7[1] + rng.randint(-HALF_E7, HALF_E7)
