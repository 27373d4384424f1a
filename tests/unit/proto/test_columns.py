"""Layouts of packed columns against their messages, and fixes there and back."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from proto.columns import FIX_COLUMNS, PING_BATCH, VIEW_CITY, WATCH_CITY, Layout, unpack
from proto.dispatch.v1 import borders_pb2, dispatch_pb2
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes, encode_fixes
from proto.tracking.v1 import fix_columns_pb2, rider_link_pb2

CITY = "la-serena"


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (PING_BATCH, rider_link_pb2.PingBatch),
        (FIX_COLUMNS, fix_columns_pb2.FixColumns),
        (VIEW_CITY, borders_pb2.ViewCityResponse),
        (WATCH_CITY, dispatch_pb2.WatchCityResponse),
    ],
    ids=["PingBatch", "FixColumns", "ViewCityResponse", "WatchCityResponse"],
)
def test_a_layout_names_every_packed_field_of_its_message(layout: Layout, message: type[Message]) -> None:
    """A `bytes` field added to the .proto file, or renamed there, must be in the layout too."""
    packed = [field.name for field in message.DESCRIPTOR.fields if field.type == FieldDescriptor.TYPE_BYTES]
    assert list(layout) == packed


def test_the_value_has_the_columns_of_the_message() -> None:
    """`FixColumns` the value and the message have the same columns, in the same order and of the same types."""
    assert FixColumns.__slots__ == tuple(FIX_COLUMNS)
    assert {name: column.dtype for name, column in FixColumns.zeros(2).columns().items()} == FIX_COLUMNS


def test_bytes_of_a_message() -> None:
    """Little-endian, as the .proto file says; written out by hand."""
    fixes = FixColumns.zeros(2)
    fixes.rider_id[:], fixes.ts_ms[:], fixes.lat_e7[:] = [1, 258], [-1, 1], [-2, 3]
    fixes.speed_cms[:], fixes.flags[:] = [256, 2], [0, 1]
    message = fix_columns_pb2.FixColumns.FromString(encode_fixes(CITY, fixes, "edge-1", 5))
    assert (message.city, message.n, message.edge_id, message.packed_wall_ms) == (CITY, 2, "edge-1", 5)
    assert message.rider_id == bytes.fromhex("0100000000000000 0201000000000000")
    assert message.ts_ms == bytes.fromhex("ffffffffffffffff 0100000000000000")
    assert message.lat_e7 == bytes.fromhex("feffffff 03000000")
    assert message.speed_cms == bytes.fromhex("0001 0200")
    assert message.flags == bytes.fromhex("00 01")


def test_fixes_there_and_back() -> None:
    """The least and greatest value of every column."""
    fixes = FixColumns(
        **{name: np.array([np.iinfo(kind).min, np.iinfo(kind).max], kind) for name, kind in FIX_COLUMNS.items()}
    )
    decoded = decode_fixes(encode_fixes(CITY, fixes, "edge-1", 5), CITY)
    assert decoded is not None
    assert decoded[1] == 5
    for name, column in decoded[0].columns().items():
        assert column.tolist() == getattr(fixes, name).tolist(), name


@pytest.mark.parametrize("changed", [{"n": 3}, {"flags": b"0"}, {"seq": b"\x00" * 9}, {"n": 0}, {"city": "elsewhere"}])
def test_a_damaged_message_is_no_fixes(changed: dict[str, object]) -> None:
    """Neither a wrong count, a short or broken column, nothing at all, nor another city's."""
    message = fix_columns_pb2.FixColumns.FromString(encode_fixes(CITY, FixColumns.zeros(2), "edge-1", 5))
    for name, value in changed.items():
        setattr(message, name, value)
    assert decode_fixes(message.SerializeToString(), CITY) is None
    assert decode_fixes(b"\xff", CITY) is None


def test_columns_of_two_lengths_are_refused() -> None:
    """Readers index all columns alike."""
    with pytest.raises(ValueError, match="one length"):
        unpack(VIEW_CITY, borders_pb2.ViewCityResponse(rider_id=b"\x00" * 8))
