"""A recording as a file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dispatch.engine.basis import TickBasis
from dispatch.engine.codec import to_plain
from dispatch.engine.eta.calibration import Eta, Quote, Stage
from dispatch.engine.memory import CityMemory
from dispatch.engine.model import Cooldown, Order, OrderId, OrderStatus, Point, RestaurantId, Rider, RiderId, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.snapshot import pack_memory, unpack_memory
from dispatch.engine.state import CityState
from dispatch.engine.tracks import Track
from dispatch.recording.dump import default_capacity
from dispatch.recording.recording import BadRecording, Message, RecordedTick, Recording, read_recording, write_recording
from node.cli import main
from node.errors import Rejected

#: Fields of a tick before ETAs were replayed.
OLDER = {
    "tick", "epoch", "now_ms", "pings_offset", "events_offset", "params_digest", "travel_version", "fallback",
    "problem_digest", "solution_digest", "decisions_digest", "ignored",
}  # fmt: skip


def recording() -> Recording:
    """Two ticks, one that changed nothing before each, and some messages, empty ones among them."""
    ticks = [
        RecordedTick(
            n, 1, 1000 * n, n, n, "p", "free-flow-7-1.3", "", "a", "b", "c", ("o9",), "d",
            quiet=(TickBasis(1000 * n - 500, n, n, "free-flow-7-1.3", lesson=""),),
        )
        for n in (1, 2)
    ]  # fmt: skip
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
        {"l": b"learned"},
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


def rewritten(file: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The file with one part of the archive changed."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, change(body) if name == part else body)
    return file


@pytest.mark.parametrize(
    ("part", "old", "new", "said"),
    [
        ("recording.json", b'"partition": 3', b'"partition": "3"', ["partition: must be a whole number, got '3'"]),
        ("recording.json", b'"partition": 3', b'"partition": 1e400', ["partition: must be a finite number"]),
        ("recording.json", b'"city": "town"', b'"city": 7', ["city: must be a text, got 7"]),
        ("recording.json", b'"params"', b'"parms"', ["params: is missing"]),
        ("ticks.jsonl", b'"epoch": 1', b'"epoch": 9223372036854775808', ["ticks.jsonl:1", "epoch: must be within"]),
        ("ticks.jsonl", b'"tick": 2', b'"tick": "2"', ["ticks.jsonl:2", "tick: must be a whole number"]),
        ("ticks.jsonl", b'["o9"]', b'"o9"', ["ignored: must be an array"]),
        ("ticks.jsonl", b"}", b"", ["ticks.jsonl:1", "is no JSON"]),
        ("events.bin", b"\x07", b"\x07\x00", ["events.bin: a message is cut off"]),
    ],
)
def test_wrong_fields_are_named_by_the_command(
    part: str, old: bytes, new: bytes, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line: the file, the part, the fields."""
    file = tmp_path / "town.forno"
    write_recording(file, recording())
    rewritten(file, part, lambda body: body.replace(old, new, 1))
    assert main(["replay", "--log", str(file)]) == 2
    printed, complaint = capsys.readouterr()
    assert (printed, complaint.count("\n")) == ("", 1)
    for words in ["town.forno", *said]:
        assert words in complaint


def test_a_memory_survives_packing() -> None:
    """Orders, riders, cooldowns and ends come back equal, and pack to the same bytes again."""
    order = Order(OrderId("a"), RestaurantId("r"), Point(1, 2), Point(3, 4), 1, 2, 3, status=OrderStatus.ASSIGNED)
    rider = Rider(RiderId(2**63), online=True, shift_end_ms=9, capacity=2, vehicle=Vehicle.BICYCLE)
    state = CityState.load([order, rider, Cooldown(rider.rider_id, order.order_id, 77)])
    state.ended[OrderId("b")] = 5
    quote = Quote(Stage.OPEN, 1, 2, 3, 4, 5)
    memory = CityMemory(
        state,
        {order.order_id: Track(order.order_id, 3, quotes=(quote,))},
        {order.order_id: Eta.of(quote)},
        (rider.rider_id,),
    )
    packed = pack_memory(memory)
    unpacked = unpack_memory(packed)
    assert unpacked.whole
    assert unpacked.memory.state == state
    assert (unpacked.memory.tracks, unpacked.memory.etas) == (memory.tracks, memory.etas)
    assert unpacked.memory.turns == memory.turns
    assert pack_memory(unpacked.memory) == packed


def test_a_memory_of_an_older_version_holds_its_state_only() -> None:
    """It can be decided from, and no ETA told."""
    unpacked = unpack_memory(zlib.compress(b'{"orders":[],"riders":[],"offers":[],"cooldowns":[],"ended":[["b",5]]}'))
    assert (unpacked.whole, unpacked.memory.state.ended) == (False, {OrderId("b"): 5})


def test_lines_of_an_older_version_are_read(tmp_path: Path) -> None:
    """What it did not write takes its default: its ETAs are not compared."""
    tick = recording().ticks[0]
    older = {name: value for name, value in asdict(tick).items() if name in OLDER}
    assert RecordedTick.of(older) == replace(tick, promises_digest=None, quiet=())


def test_riders_who_did_not_say_carry_what_they_carried() -> None:
    """By the parameters of the stretch, those of earlier versions too; a stretch with two answers is refused."""
    five = to_plain(EngineParams(default_capacity=5))
    assert default_capacity("town", [five, five | {"version": "another"}]) == 5
    assert default_capacity("town", [{"version": "older"}]) == 3
    with pytest.raises(Rejected, match="default_capacity was changed"):
        default_capacity("town", [five, {"version": "older"}])
