"""Hashes of values: equal values have equal hashes, in every process."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass

import numpy as np

_PLAIN = {str, int, float, bool}


def digest(value: object) -> str:
    """The first 16 hex digits of the SHA-256 of a value made of dataclasses, arrays, tuples and plain values."""
    state = hashlib.sha256()
    _feed(state, value)
    return state.hexdigest()[:16]


def _feed(state: hashlib._Hash, value: object) -> None:
    if is_dataclass(value):
        for field in fields(value):
            _feed(state, getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        state.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple) and set(map(type, value)) <= _PLAIN:
        # Ten thousand ids at once: one by one they took longer than the solve of a small city.
        state.update(repr(value).encode() + b";")
    elif isinstance(value, tuple):
        state.update(b"(%d" % len(value))
        for item in value:
            _feed(state, item)
    else:
        state.update(repr(value).encode() + b";")
