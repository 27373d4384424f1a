"""Check values against the bounds of `tracking.v1` messages when the app gives them.

A number that does not fit would only be noticed when the message is made, long after the app could mend it.
"""

from __future__ import annotations

import operator

from node.geodesy import MAX_LAT_E7, MAX_LNG_E7

MAX_U16 = 65_535
MAX_U32 = (1 << 32) - 1
#: Far beyond any time, and still an int64 when the clock's error is added.
MAX_TIME_MS = 1 << 62


def whole(name: str, value: int, low: int, high: int) -> int:
    """The number. Raises `ValueError` for a fraction (degrees for 1e-7 degrees, as a rule), or one out of range."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name}: must be a whole number, got {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"{name}: must be within {low}..{high}, got {number}")
    return number


def place(lat_e7: int, lng_e7: int) -> tuple[int, int]:
    """A place on earth, 1e-7 degrees. Raises `ValueError`."""
    return whole("lat_e7", lat_e7, -MAX_LAT_E7, MAX_LAT_E7), whole("lng_e7", lng_e7, -MAX_LNG_E7, MAX_LNG_E7)


def time_ms(name: str, value: int) -> int:
    """Domain milliseconds. Raises `ValueError`."""
    return whole(name, value, -MAX_TIME_MS, MAX_TIME_MS)


def u16(value: float) -> int:
    """The nearest that fits: phones say -1, or nothing (NaN), where they do not know a speed or an accuracy."""
    return int(min(max(0, value), MAX_U16))


def heading(cdeg: float) -> int:
    """A direction as 0..35999 centidegrees: a full turn is none."""
    return u16(cdeg % 36_000)
