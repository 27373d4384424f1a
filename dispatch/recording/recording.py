"""A recorded stretch as a value, and as a file that stock tools can open.

    recording.json   city, partition, incarnation, params by digest, where both logs begin
    start.bin        the city's memory before the first tick (`dispatch.engine.snapshot`)
    ticks.jsonl      one committed tick a line, with the cut it had read up to
    pings.bin        messages of rider.pings: offset i64, length u32, value; from some minutes before the first tick on
    events.bin       messages of city.events, likewise; from some thousand before the first tick on, to know repetitions
    travel/N.bin     the learned travel models that ticks name, in the order of `models` in recording.json

in one zip archive.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dispatch.errors import DispatchError

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

    `problem_digest`, `solution_digest` and `decisions_digest` are `dispatch.engine.digest` of the problem posed, of the
    solution and of (decision records, changed entities). `fallback` says why greedy had to answer, else it is empty.
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


@dataclass(frozen=True, slots=True)
class Recording:
    """A stretch of one city. `start` is its memory before the first tick; it holds the events below `events_offset`.

    `models` are learned travel models by version (`LearnedTravel.packed`); other models are known by their version.
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
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def read_recording(file: Path) -> Recording:
    """Reads the file. Raises `BadRecording` or `OSError`."""
    try:
        with zipfile.ZipFile(file) as archive:
            head = json.loads(archive.read("recording.json"))
            if head.get("format") != FORMAT:
                raise BadRecording(f"{file}: format {head.get('format')!r}, this version reads {FORMAT!r}")
            return Recording(
                city=head["city"],
                incarnation=head["incarnation"],
                partition=head["partition"],
                default_capacity=head["default_capacity"],
                events_offset=head["events_offset"],
                params=head["params"],
                start=archive.read("start.bin"),
                ticks=[_tick(line) for line in archive.read("ticks.jsonl").splitlines()],
                pings=_unframed(archive.read("pings.bin")),
                events=_unframed(archive.read("events.bin")),
                models={v: archive.read(f"travel/{n}.bin") for n, v in enumerate(head["models"])},
            )
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, struct.error) as error:
        raise BadRecording(f"{file} is no recording of `forno log dump`: {error}") from error
    except ValueError as error:
        raise error if isinstance(error, BadRecording) else BadRecording(f"{file} is damaged: {error}") from error


def _tick(line: bytes) -> RecordedTick:
    plain = json.loads(line)
    values = {field.name: plain[field.name] for field in fields(RecordedTick)}
    return RecordedTick(**values | {"ignored": tuple(values["ignored"])})


def _framed(messages: Iterable[Message]) -> bytes:
    return b"".join(_FRAME.pack(m.offset, len(m.value)) + m.value for m in messages)


def _unframed(data: bytes) -> list[Message]:
    messages, at = [], 0
    while at < len(data):
        offset, length = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if at + length > len(data):
            raise BadRecording("a message is cut off")
        messages.append(Message(offset, data[at : at + length]))
        at += length
    return messages
