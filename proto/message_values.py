"""Walk through the values of a protobuf message."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def values_of(message: Message, within: str = "") -> Iterator[tuple[FieldDescriptor, str, object]]:
    """Yield each value that is set, nested and repeated ones too: its field, its path (`items[2].name`), itself.

    No message here has a map.
    """
    for field, value in message.ListFields():
        path = f"{within}{field.name}"
        parts = [(f"{path}[{at}]", one) for at, one in enumerate(value)] if field.is_repeated else [(path, value)]
        for where, one in parts:
            if isinstance(one, Message):
                yield from values_of(one, f"{where}.")
            else:
                yield field, where, one
