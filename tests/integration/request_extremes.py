"""Requests with one field at an extreme, generated from their descriptors."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)

_SIGNED_32 = (-(1 << 31), -1, 0, 1, (1 << 31) - 1)
_SIGNED_64 = (-(1 << 63), *_SIGNED_32, 253_402_300_800_000, (1 << 63) - 1)
_UNSIGNED_32 = (0, 1, 101, (1 << 31) - 1, (1 << 32) - 1)
_UNSIGNED_64 = (*_UNSIGNED_32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_FRACTIONS = (math.nan, math.inf, -math.inf, -1.0, 0.0, 5e-324, 1e308)
_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\x1b[31m",
    "\u202e\ufeff\uffff",
    "'; drop table orders; --",
    "../../etc/passwd",
    "{}",
    "NaN",
    "9" * 400,
    "x" * 100_000,
    "\U0001f355" * 300,
)

EXTREMES: dict[int, tuple[Any, ...]] = {
    FieldDescriptor.TYPE_BOOL: (False, True),
    FieldDescriptor.TYPE_BYTES: (b"", b"\0", b"\xff" * 1000),
    FieldDescriptor.TYPE_DOUBLE: _FRACTIONS,
    FieldDescriptor.TYPE_ENUM: (-1, 0, 99, (1 << 31) - 1),
    FieldDescriptor.TYPE_INT32: _SIGNED_32,
    FieldDescriptor.TYPE_SINT32: _SIGNED_32,
    FieldDescriptor.TYPE_INT64: _SIGNED_64,
    FieldDescriptor.TYPE_STRING: _TEXTS,
    FieldDescriptor.TYPE_UINT32: _UNSIGNED_32,
    FieldDescriptor.TYPE_UINT64: _UNSIGNED_64,
}
#: Entries of a list at its extreme.
_MANY = 1_000


def with_extremes(request: M) -> Iterator[tuple[str, M]]:
    """Every copy of the request that has one field at an extreme, with that field's path and value."""
    for path, place in _fields(request, ()):
        for value in _extremes_of(place[-1]):
            changed = type(request)()
            changed.CopyFrom(request)
            _set(changed, place, value)
            yield f"{path} = {_shown(value)}", changed


def not_utf8(request: Message) -> Iterator[tuple[str, bytes]]:
    """The request as bytes, with half of a surrogate pair in one of its texts: no client of ours can send it."""
    for field in request.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            tag = bytes([field.number << 3 | 2])
            yield field.name, request.SerializeToString() + tag + b"\x03\xed\xa0\x80"


_Place = tuple[Any, ...]


def _fields(message: Message, above: _Place) -> Iterator[tuple[str, _Place]]:
    for field in message.DESCRIPTOR.fields:
        place = (*above, field)
        yield ".".join(part.name for part in place), place
        if field.type == FieldDescriptor.TYPE_MESSAGE and not _repeated(field):
            yield from _fields(getattr(message, field.name), place)
        elif field.type == FieldDescriptor.TYPE_MESSAGE and (items := getattr(message, field.name)):
            yield from _fields(items[0], place)


def _extremes_of(field: FieldDescriptor) -> tuple[Any, ...]:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return (None, *(("many",) if _repeated(field) else ("empty",)))
    return EXTREMES[field.type]


def _set(message: Any, place: _Place, value: Any) -> None:
    *above, field = place
    for step in above:
        message = getattr(message, step.name)
        message = message[0] if _repeated(step) else message
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        _set_message(message, field, value)
    elif _repeated(field):
        getattr(message, field.name)[:] = [value] * random.Random(field.number).choice((1, _MANY))
    else:
        setattr(message, field.name, value)


def _set_message(message: Any, field: FieldDescriptor, value: str | None) -> None:
    if value == "many":
        items = getattr(message, field.name)
        items.extend([items[0] if items else items.add()] * _MANY)
    else:
        message.ClearField(field.name)
        if value == "empty":
            getattr(message, field.name).SetInParent()


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) < 50 else f"{value!r:.40}... ({len(value)})"
