"""Check the values of a received event, and make its texts storable."""

from __future__ import annotations

from functools import reduce

from google.protobuf.message import Message

from node.documents import MAX_INTEGER
from proto.message_values import values_of


def checked_version(version: int) -> int:
    """The version of an event. Raises `ValueError` when no column holds it."""
    if version > MAX_INTEGER:
        raise ValueError(f"version: {version} is not in 0..{MAX_INTEGER}")
    return version


def escape_nuls(event: Message) -> str:
    r"""Write each NUL within the texts of an event as the four characters `\x00`, for no text column holds one. Returns
    which texts held one, in words; empty for none. Events have no repeated texts.
    """
    paths = [path for _, path, value in values_of(event) if isinstance(value, str) and "\0" in value]
    for path in paths:
        *within, name = path.split(".")
        holder = reduce(getattr, within, event)
        setattr(holder, name, getattr(holder, name).replace("\0", "\\x00"))
    return f"{', '.join(paths)}: holds a NUL, stored as \\x00; its version counts" if paths else ""
