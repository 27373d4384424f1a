"""Entities to plain JSON-able dicts and back, the same bytes for the same value.

Values are the frozen dataclasses of `dispatch.engine.model`: fields of int, str, bool, enums, tuples,
nested dataclasses and optionals of these. Keys come in the order of the fields.

Written by hand, without a library: a tick packs the tens of entities it changed, under a millisecond. A whole city of
3,360 orders and 5,360 riders takes 125 ms to JSON and 205 ms back (CPU, in a thread, at a takeover and for the memory
stored every five minutes); msgspec 0.23 writes the same bytes in 6 ms and reads them in 13 ms. That is the time to save
here, at the price of one more compiled dependency, when takeovers of bigger cities need it.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from dispatch.errors import InvalidEntity

T = TypeVar("T")
Plain = dict[str, Any]


def to_plain(entity: object) -> Plain:
    """The entity as a dict of JSON types."""
    return {f.name: _plain(getattr(entity, f.name)) for f in fields(entity)}  # type: ignore[arg-type]


def from_plain(cls: type[T], plain: Plain) -> T:
    """The entity again. Raises InvalidEntity; unknown keys are ignored, missing ones take defaults."""
    hints: dict[str, Any] = _hints(cls)  # type: ignore[arg-type]  # mypy: a type is hashable
    try:
        return cls(**{name: _value(hints[name], plain[name]) for name in hints if name in plain})
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidEntity(f"{cls.__name__}: {error}") from error


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if is_dataclass(value):
        return to_plain(value)
    return value


def _value(hint: Any, plain: Any) -> Any:
    if isinstance(hint, NewType):
        hint = hint.__supertype__
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if plain is None:
            return None
        return _value(next(a for a in get_args(hint) if a is not type(None)), plain)
    if origin is tuple:
        return tuple(_value(get_args(hint)[0], p) for p in plain)
    if is_dataclass(hint):
        return from_plain(hint, plain)  # type: ignore[arg-type]
    if issubclass(hint, Enum):
        return hint(plain)
    if hint is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)  # JSON has one kind of number
    if not isinstance(plain, hint):
        raise TypeError(f"expected {hint.__name__}, got {plain!r}")
    return plain
