"""Check the values of an event or a request: what storage or the engine's arithmetic cannot hold."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from node.errors import Invalid

#: Bytes of a text: ids are keys of indexes, whose rows Postgres limits to about 2,700 bytes.
MAX_TEXT_BYTES = 1_024
#: 9999-12-31, milliseconds.
MAX_TIME_MS = 253_402_214_400_000
_RANGES = {
    "lat_e7": (-900_000_000, 900_000_000),
    "lng_e7": (-1_800_000_000, 1_800_000_000),
    "borrower_epoch": (0, 2**63 - 1),
}


def check_request(request: Message) -> None:
    """Check every field of a request as those of an event. Raises `Invalid`."""
    field, _, wrong = fault_of(request).partition(": ")
    if wrong:
        raise Invalid(field, wrong, reason="BAD_VALUE")


def fault_of(message: Message) -> str:
    """The first field at fault and what is wrong with it; empty when all can be held."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            fault = fault_of(value)
            if fault:
                return f"{field.name}.{fault}"
        elif wrong := _wrong(field, value):
            return f"{field.name}: {wrong}"
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
