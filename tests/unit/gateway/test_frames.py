"""Frames on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from gateway.live.frames import exact_frame, text_frame
from gateway.live.model import LiveFix
from tests.unit.gateway.worlds import read


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 100_000])
def test_a_client_reads_what_was_framed(size: int) -> None:
    """Our header is what a WebSocket client expects, at every length where the header changes."""
    client = ClientProtocol(parse_uri("ws://forno/"), state=OPEN, max_size=None)
    client.receive_data(text_frame(b"x" * size))
    (event,) = client.events_received()
    assert isinstance(event, Frame)
    assert bytes(event.data) == b"x" * size


@given(
    st.integers(-900_000_000, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    st.integers(0, 2**42),
    st.integers(0, 35_999),
)
def test_positions_are_json_to_the_last_digit(lat_e7: int, lng_e7: int, ts_ms: int, heading_cdeg: int) -> None:
    """The hand-made JSON parses, and gives back the very integers."""
    frame = exact_frame(LiveFix("o", 1, lat_e7, lng_e7, ts_ms, 1, 1, heading_cdeg, 0, True), 3)
    seen = read(frame)
    assert (round(seen["lat"] * 1e7), round(seen["lng"] * 1e7), seen["ts_ms"]) == (lat_e7, lng_e7, ts_ms)
    assert json.dumps(seen["heading"]) == json.dumps(heading_cdeg / 100)
