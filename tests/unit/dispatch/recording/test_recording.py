"""A recording as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from dispatch.engine.codec import to_plain
from dispatch.engine.model import Cooldown, Order, OrderId, OrderStatus, Point, RestaurantId, Rider, RiderId, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.snapshot import pack_state, unpack_state
from dispatch.engine.state import CityState
from dispatch.recording.dump import default_capacity
from dispatch.recording.recording import BadRecording, Message, RecordedTick, Recording, read_recording, write_recording
from node.errors import Rejected


def recording() -> Recording:
    """Two ticks and some messages, empty ones among them."""
    ticks = [RecordedTick(n, 1, 1000 * n, n, n, "p", "free-flow-7-1.3", "", "a", "b", "c", ("o9",)) for n in (1, 2)]
    messages = [Message(4, b""), Message(7, bytes(range(256)))]
    return Recording(
        "town",
        "log-1",
        3,
        2,
        4,
        {"p": {"version": "x"}},
        b"\x00\xff",
        ticks,
        messages,
        messages[1:],
        {"learned-1": b"\x01"},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The file holds the value, to the byte."""
    file = tmp_path / "town.forno"
    write_recording(file, recording())
    assert read_recording(file) == recording()
    assert [path.name for path in tmp_path.iterdir()] == ["town.forno"]


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    """Cut off at any of many places, or something else altogether: a typed error, never another."""
    file = tmp_path / "town.forno"
    write_recording(file, recording())
    whole = file.read_bytes()
    for end in range(0, len(whole) - 1, 37):
        file.write_bytes(whole[:end])
        with pytest.raises(BadRecording, match=r"town\.forno"):
            read_recording(file)


def test_a_memory_survives_packing() -> None:
    """Orders, riders, cooldowns and ends come back equal, and pack to the same bytes again."""
    order = Order(OrderId("a"), RestaurantId("r"), Point(1, 2), Point(3, 4), 1, 2, 3, status=OrderStatus.ASSIGNED)
    rider = Rider(RiderId(2**63), online=True, shift_end_ms=9, capacity=2, vehicle=Vehicle.BICYCLE)
    state = CityState.load([order, rider, Cooldown(rider.rider_id, order.order_id, 77)])
    state.ended[OrderId("b")] = 5
    packed = pack_state(state)
    assert unpack_state(packed) == state
    assert pack_state(unpack_state(packed)) == packed


def test_riders_who_did_not_say_carry_what_they_carried() -> None:
    """By the parameters of the stretch, those of earlier versions too; a stretch with two answers is refused."""
    five = to_plain(EngineParams(default_capacity=5))
    assert default_capacity("town", [five, five | {"version": "another"}]) == 5
    assert default_capacity("town", [{"version": "older"}]) == 3
    with pytest.raises(Rejected, match="default_capacity was changed"):
        default_capacity("town", [five, {"version": "older"}])
