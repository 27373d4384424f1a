"""Write entities as JSON and read them again: the same bytes for the same value.

Entities are the frozen dataclasses of `dispatch.engine`: fields of int, float, str, bool, enums, tuples, nested
dataclasses and optionals of these. Keys come in the order of the fields. Reading ignores unknown keys, gives missing
ones their defaults, and raises `InvalidEntity` for anything else that does not fit.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np

from dispatch.errors import InvalidEntity

T = TypeVar("T")


def to_json(entity: object) -> bytes:
    """The entity, or a tuple or dict of entities, as compact JSON."""
    return msgspec.json.encode(entity, enc_hook=_scalar)


def from_json(cls: type[T], text: str | bytes) -> T:
    """The entity of a class again. Raises `InvalidEntity`."""
    try:
        return msgspec.json.decode(text, type=cls)
    except msgspec.MsgspecError as error:
        raise _invalid(cls, error) from error


def to_plain(entity: object) -> dict[str, Any]:
    """The entity as a dict of JSON types."""
    plain: dict[str, Any] = msgspec.to_builtins(entity, enc_hook=_scalar)
    return plain


def from_plain(cls: type[T], plain: object) -> T:
    """The entity of a class from JSON types. Raises `InvalidEntity`."""
    try:
        return msgspec.convert(plain, cls)
    except msgspec.MsgspecError as error:
        raise _invalid(cls, error) from error


def _scalar(value: object) -> object:
    """A number of numpy as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not belong in an entity")


def _invalid(cls: type[Any], error: Exception) -> InvalidEntity:
    return InvalidEntity(f"{getattr(cls, '__name__', cls)}: {error}")
