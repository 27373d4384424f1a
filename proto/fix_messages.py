"""Messages of the topic `rider.pings` (`tracking.v1.FixColumns`) from fixes and back."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from proto.columns import FIX_COLUMNS, pack, unpack
from proto.fix_columns import FixColumns
from proto.tracking.v1 import fix_columns_pb2

MAX_FIXES: Final = 1_000_000
"""Longest message that a reader believes."""


def encode_fixes(city: str, fixes: FixColumns, edge_id: str, packed_wall_ms: int) -> bytes:
    """The message that carries these fixes of a city."""
    return fix_columns_pb2.FixColumns(
        city=city, n=len(fixes), edge_id=edge_id, packed_wall_ms=packed_wall_ms, **pack(FIX_COLUMNS, fixes.columns())
    ).SerializeToString()


def decode_fixes(value: bytes, city: str) -> tuple[FixColumns, int] | None:
    """The fixes of a message and when it was packed (wall ms); None when it is damaged or another city's."""
    message = fix_columns_pb2.FixColumns()
    try:
        message.ParseFromString(value)
        if message.city != city or not 0 < message.n <= MAX_FIXES:
            return None
        fixes = FixColumns(**unpack(FIX_COLUMNS, message))
    except (DecodeError, ValueError):
        return None
    return (fixes, message.packed_wall_ms) if len(fixes) == message.n else None
