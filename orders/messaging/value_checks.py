"""Check the values of a received event: what no column holds is refused with its field."""

from __future__ import annotations

from google.protobuf.message import Message

from proto.message_values import values_of

#: The largest number of a column.
_MAX_VERSION = 2**63 - 1


def check_storable(event: Message) -> None:
    """Check that texts hold no NUL and that versions fit into 63 bits. Raises `ValueError`."""
    for field, path, value in values_of(event):
        if isinstance(value, str) and "\0" in value:
            raise ValueError(f"{path}: holds a NUL")
        if field.name == "version" and isinstance(value, int) and value > _MAX_VERSION:
            raise ValueError(f"{path}: {value} is not in 0..{_MAX_VERSION}")
