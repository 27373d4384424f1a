"""Check the values of an event or a request: what storage or the engine's arithmetic cannot hold."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from node.errors import Invalid
from proto.message_values import values_of

#: Bytes of a text: ids are keys of indexes, whose rows Postgres limits to about 2,700 bytes.
MAX_TEXT_BYTES = 1_024
#: 9999-12-31, milliseconds.
MAX_TIME_MS = 253_402_214_400_000
_RANGES = {
    "lat_e7": (-900_000_000, 900_000_000),
    "lng_e7": (-1_800_000_000, 1_800_000_000),
    "borrower_epoch": (0, 2**63 - 1),
}


def check_values(request: Message) -> None:
    """Check every value of a request as those of an event. Raises `Invalid`."""
    field, _, wrong = wrong_value(request).partition(": ")
    if wrong:
        raise Invalid(field, wrong, reason="BAD_VALUE")


def wrong_value(message: Message) -> str:
    """The path of the first wrong value and what is wrong with it; empty when all can be held."""
    for field, path, value in values_of(message):
        if wrong := _wrong(field, value):
            return f"{path}: {wrong}"
    return ""


def _wrong(field: FieldDescriptor, value: object) -> str:
    if isinstance(value, str):
        if "\0" in value:
            return "holds a NUL"
        size = len(value.encode("utf-8", "surrogatepass"))
        return f"{size} bytes, at most {MAX_TEXT_BYTES}" if size > MAX_TEXT_BYTES else ""
    if not isinstance(value, int):
        return ""
    low, high = (0, MAX_TIME_MS) if field.name.endswith("_ms") else _RANGES.get(field.name, (value, value))
    return "" if low <= value <= high else f"{value} is not in {low}..{high}"
