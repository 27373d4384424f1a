"""Run a recording through the engine again: the same policy must decide and tell the same, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from dispatch.engine.basis import TickBasis
from dispatch.engine.codec import from_plain
from dispatch.engine.computed_tick import ComputedTick, Digests
from dispatch.engine.eta.learning import BrokenLearning, CityLearning
from dispatch.engine.log_inputs import LogEvent, inputs_of, without
from dispatch.engine.model import OrderId
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.snapshot import unpack_memory
from dispatch.engine.tick import run_tick
from dispatch.logs import wire
from dispatch.logs.seen_ids import SeenIds
from dispatch.positions import RiderPositions
from dispatch.recording.recording import BadRecording, RecordedTick, Recording
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes

TravelOf = Callable[[str], TravelTimes]
"""The travel model of a version; raises `BadRecording` where there is none."""


@dataclass(frozen=True, slots=True)
class RerunTick:
    """A tick run again, with the events since the recorded one before it.

    `differs` names the first part that came out otherwise; empty when all bytes are equal. `tracks_compared` says
    whether ETAs and tracks are among them: not for ticks or checkpoints of a version that kept none of
    them.
    """

    recorded: RecordedTick
    events: tuple[LogEvent, ...]
    computed: ComputedTick
    differs: str
    tracks_compared: bool


def params_of(recording: Recording, params_digest: str) -> EngineParams:
    """The parameters a tick was decided with. Raises `BadRecording`."""
    try:
        return from_plain(EngineParams, dict(recording.params[params_digest]))
    except (KeyError, ValueError) as error:
        raise BadRecording(f"parameters {params_digest}: {error}") from error


def rerun(recording: Recording, travel_of: TravelOf) -> Iterator[RerunTick]:
    """Run every tick again, in order, as it was recorded. Raises `BadRecording`."""
    again = _Rerun(recording, travel_of)
    for tick in recording.ticks:
        yield again.tick(tick)


class _Rerun:
    def __init__(self, recording: Recording, travel_of: TravelOf) -> None:
        self._recording = recording
        self._travel_of = travel_of
        start = unpack_memory(recording.start)
        self._memory, self._whole = start.memory, start.whole
        self._params: dict[str, EngineParams] = {}
        try:
            self._fixes = [(m.offset, decode_fixes(m.value, recording.city)) for m in recording.pings]
            self._log = [
                wire.decode_event_leniently(m.value, recording.city, m.offset, recording.default_capacity)
                for m in recording.events
            ]
        except (ValueError, DecodeError) as error:
            raise BadRecording(f"a message of the recording cannot be read: {error}") from error
        self._passed_over = {offset for tick in recording.ticks for offset in tick.passed_over}
        before = [event for event in self._log if event.offset < recording.events_offset]
        self._seen = SeenIds(event.event_id for event in before)
        self._next_event = len(before)
        self._next_fixes = 0
        self._positions = RiderPositions()
        self._epoch: int | None = None

    def tick(self, tick: RecordedTick) -> RerunTick:
        """Run a tick again, and before it those that changed nothing. Those of the first tick are in the start."""
        first = self._epoch is None
        bases = (tick.basis,) if first else (*tick.quiet, tick.basis)
        if not first and (tick.epoch != self._epoch or any(basis.lesson is not None for basis in bases)):
            self._positions, self._next_fixes = RiderPositions(), 0  # a new owner knows them from the log only
        self._epoch = tick.epoch
        events: tuple[LogEvent, ...] = ()
        for basis in bases:
            if not first:
                self._begin(basis)
            taken, computed = self._run(tick, basis)
            events += taken
        compared = self._whole and tick.promises_digest is not None
        return RerunTick(tick, events, computed, _difference(tick, computed, with_tracks=compared), compared)

    def _begin(self, basis: TickBasis) -> None:
        """Repeat what changed the memory between two ticks: a new owner, paces computed anew.

        Events that the former owner took in ticks that are on no record changed nothing; the new one never read them.
        """
        if basis.lesson is not None:
            self._memory.begin_epoch(self._lesson(basis.lesson))
            self._events(basis.owner_began or 0)
        if basis.renewed:
            self._memory.learning.travel_learner.refresh()

    def _run(self, tick: RecordedTick, basis: TickBasis) -> tuple[tuple[LogEvent, ...], ComputedTick]:
        self._read_fixes(basis.pings_offset)
        events = self._events(basis.events_offset)
        ignored = {OrderId(order_id) for order_id in tick.ignored}
        inputs = without(inputs_of(events, self._memory.state, basis.now_ms), ignored)
        for event in events:
            if event.seed is not None:
                self._positions.apply(event.seed)
        params = self._params_of(tick.params_digest)
        seen = self._positions.snapshot(basis.now_ms, round(params.candidates.max_age_s * 1000))
        travel, name = self._travel_of(basis.travel_version), f"{self._recording.city}-{tick.tick}"
        computed = run_tick(self._memory, inputs, seen, travel, params, name, basis.fallbacks)
        self._memory.apply_tick(computed, params)
        self._memory.learn_from_positions(computed, params)
        return events, computed

    def _lesson(self, name: str) -> CityLearning:
        if not name:
            return CityLearning()
        if name not in self._recording.lessons:
            raise BadRecording(f"an owner began with lesson {name}, which is not in the recording")
        try:
            return CityLearning.loaded(self._recording.lessons[name])
        except BrokenLearning:
            return CityLearning()  # as its owner did

    def _read_fixes(self, end: int) -> None:
        batch: list[FixColumns] = []
        while self._next_fixes < len(self._fixes) and self._fixes[self._next_fixes][0] < end:
            decoded = self._fixes[self._next_fixes][1]
            if decoded is not None:
                batch.append(decoded[0])
            self._next_fixes += 1
        if batch:
            self._positions.apply(FixColumns.concat(batch))

    def _events(self, end: int) -> tuple[LogEvent, ...]:
        """The next events below an offset; repetitions, and those that no tick took, left out."""
        events: list[LogEvent] = []
        while self._next_event < len(self._log) and self._log[self._next_event].offset < end:
            event = self._log[self._next_event]
            if self._seen.first_time(event.event_id) and event.offset not in self._passed_over:
                events.append(event)
            self._next_event += 1
        return tuple(events)

    def _params_of(self, params_digest: str) -> EngineParams:
        if params_digest not in self._params:
            self._params[params_digest] = params_of(self._recording, params_digest)
        return self._params[params_digest]


def _difference(tick: RecordedTick, computed: ComputedTick, *, with_tracks: bool) -> str:
    """The first part that differs, in the order in which a tick computes them."""
    now = Digests.of(computed)
    if now.problem != tick.problem_digest:
        return "problem"
    if now.solution != tick.solution_digest:
        return "solution"
    if now.decisions != tick.decisions_digest:
        return "decisions"
    return "ETAs and tracks" if with_tracks and now.etas_and_tracks != tick.promises_digest else ""
