"""Packed columns in messages: the one definition of which numbers lie in which `bytes` field.

A column is the values of n rows one after another, little-endian, in a `bytes` field of the message; all columns of a
message have one length. Worked example: two `seq` of 1 and 258, `<u8`, are 16 bytes, 01 00..00 02 01 00..00.

Whoever packs or unpacks such a message takes its layout from here. `tests/unit/proto/test_columns.py` compares the
names of every layout with the fields of its message, so that a column added to a `.proto` file cannot be forgotten.
Types stand here and, as comments, in the `.proto` files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray

Layout = Mapping[str, np.dtype[Any]]
"""The columns of a message in the order of its fields: name of the field and type of its values."""

_U64, _I64, _I32 = np.dtype("<u8"), np.dtype("<i8"), np.dtype("<i4")
_U16, _U8 = np.dtype("<u2"), np.dtype("u1")

#: `tracking.v1.PingBatch`: fixes of one session.
PING_BATCH: Final[Layout] = {
    "seq": _U64,
    "ts_ms": _I64,
    "lat_e7": _I32,
    "lng_e7": _I32,
    "accuracy_dm": _U16,
    "heading_cdeg": _U16,
    "speed_cms": _U16,
}
#: `tracking.v1.FixColumns`: fixes of any riders of one city.
FIX_COLUMNS: Final[Layout] = {"rider_id": _U64, "session": _U64, **PING_BATCH, "flags": _U8}
#: `dispatch.v1.ViewCityResponse`: last positions of the riders near a border.
VIEW_CITY: Final[Layout] = {"rider_id": _U64, "lat_e7": _I32, "lng_e7": _I32, "age_ms": _I64}
#: `dispatch.v1.WatchCityResponse`: all riders with a fresh fix; `rider_state` are numbers of `RiderActivity`.
WATCH_CITY: Final[Layout] = {
    "rider_id": _U64,
    "rider_lat_e7": _I32,
    "rider_lng_e7": _I32,
    "rider_ts_ms": _I64,
    "rider_state": _U8,
}


def pack(layout: Layout, columns: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """The fields of a message that hold these columns."""
    return {name: columns[name].astype(dtype, copy=False).tobytes() for name, dtype in layout.items()}


def unpack(layout: Layout, message: Message) -> dict[str, NDArray[Any]]:
    """The columns of a message, read-only. Raises `ValueError` when they are not of one length."""
    columns = {name: np.frombuffer(getattr(message, name), dtype) for name, dtype in layout.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns must be of one length, got {lengths}")
    return columns
