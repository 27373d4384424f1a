"""A recorded stretch as a value, and as a file that stock tools can open.

    recording.json   city, partition, incarnation, params by digest, where both logs begin
    start.bin        the city's memory before the first tick (`dispatch.engine.snapshot`)
    ticks.jsonl      one committed tick a line, with the cut it had read up to
    pings.bin        messages of rider.pings: offset i64, length u32, value; from some minutes before the first tick on
    events.bin       messages of city.events, likewise; from some thousand before the first tick on, to know repetitions
    travel/N.bin     the learned travel models that ticks name, in the order of `models` in recording.json
    lessons/N.bin    the lessons that owners began with, in the order of `lessons` in recording.json

in one zip archive.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dispatch.engine.basis import TickBasis
from dispatch.engine.codec import from_plain
from dispatch.errors import DispatchError
from node.documents import MAX_INTEGER, BadDocument, model_flaws, parse_json, validated

FORMAT = "forno recording 1"
_FRAME = struct.Struct("<qI")


class BadRecording(DispatchError, ValueError):
    """The file is no recording, or a damaged one; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of an input log as it lies there."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class RecordedTick:
    """A tick that was committed: what it had read, how it solved, and names of all it saw and decided.

    The digests are those of `dispatch.engine.computed_tick.Digests`; `promises_digest` is that of ETAs and tracks, None
    for a tick of an older version, whose ETAs and tracks cannot be compared. `fallback` is the solver's; it, the other
    fallbacks, `renewed`, `lesson` and `owner_began` are as in `TickBasis`. `quiet` holds one basis for each tick since
    the recorded one before: those changed nothing. `passed_over` are offsets of events that were set aside since then:
    no tick took them.
    """

    tick: int
    epoch: int
    now_ms: int
    pings_offset: int
    events_offset: int
    params_digest: str
    travel_version: str
    fallback: str
    problem_digest: str
    solution_digest: str
    decisions_digest: str
    ignored: tuple[str, ...]
    promises_digest: str | None = None
    eta_fallback: str = ""
    renewed: bool = False
    lesson: str | None = None
    quiet: tuple[TickBasis, ...] = ()
    stops_fallback: str = ""
    owner_began: int | None = None
    passed_over: tuple[int, ...] = ()

    @property
    def basis(self) -> TickBasis:
        """Basis of the tick."""
        return TickBasis(
            now_ms=self.now_ms,
            pings_offset=self.pings_offset,
            events_offset=self.events_offset,
            travel_version=self.travel_version,
            solver_fallback=self.fallback,
            eta_fallback=self.eta_fallback,
            renewed=self.renewed,
            lesson=self.lesson,
            stops_fallback=self.stops_fallback,
            owner_began=self.owner_began,
        )

    @staticmethod
    def of(plain: Mapping[str, Any]) -> RecordedTick:
        """Build from a row or a line; what an older version did not write takes its default. Raises `KeyError`."""
        given = {field.name: plain[field.name] for field in fields(RecordedTick) if plain.get(field.name) is not None}
        given["ignored"] = tuple(given["ignored"])
        given["passed_over"] = tuple(given.get("passed_over", ()))
        given["quiet"] = tuple(from_plain(TickBasis, basis) for basis in given.get("quiet", ()))
        return RecordedTick(**given)


@dataclass(frozen=True, slots=True)
class Recording:
    """A stretch of one city. `start` is its memory before the first tick; it holds the events below `events_offset`.

    `models` are learned travel models by version (`LearnedTravel.packed`); other models are known by their version.
    `lessons` are what owners began with, by name (`CityLearning.saved`).
    """

    city: str
    incarnation: str
    partition: int
    default_capacity: int
    events_offset: int
    params: Mapping[str, Mapping[str, Any]]
    start: bytes
    ticks: Sequence[RecordedTick]
    pings: Sequence[Message]
    events: Sequence[Message]
    models: Mapping[str, bytes] = field(default_factory=dict)
    lessons: Mapping[str, bytes] = field(default_factory=dict)


def write_recording(file: Path, recording: Recording) -> None:
    """Writes the file whole, or not at all. Raises `OSError`."""
    head = {
        "format": FORMAT,
        "city": recording.city,
        "incarnation": recording.incarnation,
        "partition": recording.partition,
        "default_capacity": recording.default_capacity,
        "events_offset": recording.events_offset,
        "params": dict(recording.params),
        "models": list(recording.models),
        "lessons": list(recording.lessons),
    }
    part = file.with_name(f"{file.name}.part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.writestr("recording.json", json.dumps(head, indent=1))
            archive.writestr("start.bin", recording.start)
            archive.writestr("ticks.jsonl", "".join(json.dumps(asdict(tick)) + "\n" for tick in recording.ticks))
            archive.writestr("pings.bin", _framed(recording.pings))
            archive.writestr("events.bin", _framed(recording.events))
            for number, model in enumerate(recording.models.values()):
                archive.writestr(f"travel/{number}.bin", model)
            for number, lesson in enumerate(recording.lessons.values()):
                archive.writestr(f"lessons/{number}.bin", lesson)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def read_recording(file: Path) -> Recording:
    """Reads the file. Raises `BadRecording`, which names every wrong field of its documents."""
    try:
        with zipfile.ZipFile(file) as archive:
            head_json = _text(archive.read("recording.json"), "recording.json")
            head = validated(_Head, parse_json(head_json, "recording.json"), "recording.json")
            lines = archive.read("ticks.jsonl").splitlines()
            return Recording(
                city=head.city,
                incarnation=head.incarnation,
                partition=head.partition,
                default_capacity=head.default_capacity,
                events_offset=head.events_offset,
                params=head.params,
                start=archive.read("start.bin"),
                ticks=[_tick(line, f"ticks.jsonl:{number}") for number, line in enumerate(lines, 1)],
                pings=_unframed(archive.read("pings.bin"), "pings.bin"),
                events=_unframed(archive.read("events.bin"), "events.bin"),
                models={v: archive.read(f"travel/{n}.bin") for n, v in enumerate(head.models)},
                lessons={v: archive.read(f"lessons/{n}.bin") for n, v in enumerate(head.lessons)},
            )
    except (BadRecording, BadDocument) as error:
        raise BadRecording(f"{file} is damaged: {error}") from error
    except _NO_ARCHIVE as error:
        raise BadRecording(f"{file} is no recording of `forno log dump`: {error}") from error


#: What the library raises for something that is no archive, a damaged or an encrypted one, or that lacks a part.
_NO_ARCHIVE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Head(BaseModel):
    """`recording.json`."""

    model_config = ConfigDict(strict=True)

    format: Literal["forno recording 1"]
    city: str = Field(min_length=1)
    incarnation: str
    partition: int = Field(ge=0, le=2**31 - 1)
    default_capacity: int = Field(ge=1, le=1_000)
    events_offset: int = Field(ge=0, le=MAX_INTEGER)
    params: dict[str, dict[str, Any]]
    models: list[str]
    lessons: list[str] = []


_TICK: Final = TypeAdapter(RecordedTick)


def _tick(line: bytes, source: str) -> RecordedTick:
    parse_json(_text(line, source), source)
    try:
        return _TICK.validate_json(line, strict=True)
    except ValidationError as error:
        raise BadDocument(source, model_flaws(error)) from error


def _text(data: bytes, source: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadRecording(f"{source} is no UTF-8 text") from error


def _framed(messages: Iterable[Message]) -> bytes:
    return b"".join(_FRAME.pack(m.offset, len(m.value)) + m.value for m in messages)


def _unframed(data: bytes, source: str) -> list[Message]:
    messages, at = [], 0
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise BadRecording(f"{source}: a message is cut off")
        offset, length = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if at + length > len(data):
            raise BadRecording(f"{source}: a message is cut off")
        messages.append(Message(offset, data[at : at + length]))
        at += length
    return messages
