"""A recording through the engine again: the same policy must make the same decisions, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dispatch.engine.codec import from_plain
from dispatch.engine.digest import digest
from dispatch.engine.inputs import Positions
from dispatch.engine.intake import LogEvent, inputs_of, without
from dispatch.engine.model import OrderId
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.snapshot import unpack_state
from dispatch.engine.tick import CityState, TickResult, run_tick
from dispatch.logs import wire
from dispatch.logs.seen_ids import SeenIds
from dispatch.positions import RiderPositions
from dispatch.recording.recording import BadRecording, RecordedTick, Recording
from proto.fix_columns import FixColumns
from proto.fix_messages import decode_fixes

TravelOf = Callable[[str], TravelTimes]
"""The travel model of a version; raises `BadRecording` where there is none."""


@dataclass(frozen=True, slots=True)
class Redone:
    """A tick run again. `differs` names the first thing that came out otherwise; empty when all bytes are equal."""

    recorded: RecordedTick
    events: tuple[LogEvent, ...]
    result: TickResult
    differs: str


def params_of(recording: Recording, params_digest: str) -> EngineParams:
    """The parameters a tick was decided with. Raises `BadRecording`."""
    try:
        return from_plain(EngineParams, dict(recording.params[params_digest]))
    except (KeyError, ValueError) as error:
        raise BadRecording(f"parameters {params_digest}: {error}") from error


def rerun(recording: Recording, travel_of: TravelOf) -> Iterator[Redone]:
    """Every tick again, in order, as it was recorded. Raises `BadRecording`."""
    again = _Rerun(recording, travel_of)
    for tick in recording.ticks:
        yield again.tick(tick)


class _Rerun:
    def __init__(self, recording: Recording, travel_of: TravelOf) -> None:
        self._recording = recording
        self._travel_of = travel_of
        self._state: CityState = unpack_state(recording.start)
        self._params: dict[str, EngineParams] = {}
        self._fixes = [(m.offset, decode_fixes(m.value, recording.city)) for m in recording.pings]
        self._heard = [
            wire.decode_event(m.value, recording.city, m.offset, recording.default_capacity) for m in recording.events
        ]
        before = [event for event in self._heard if event.offset < recording.events_offset]
        self._seen = SeenIds(event.event_id for event in before)
        self._next_event = len(before)
        self._epoch = 0
        self._begin_epoch(recording.ticks[0].epoch if recording.ticks else 0)

    def tick(self, tick: RecordedTick) -> Redone:
        """One tick as it was."""
        if tick.epoch != self._epoch:
            self._begin_epoch(tick.epoch)
        self._read_fixes(tick.pings_offset)
        events = self._events(tick.events_offset)
        inputs = without(inputs_of(events, self._state, tick.now_ms), {OrderId(o) for o in tick.ignored})
        for event in events:
            if event.seed is not None:
                self._positions.apply(event.seed)
        params = self._params_of(tick.params_digest)
        result = run_tick(
            self._state,
            inputs,
            self._seen_now(tick.now_ms, params),
            tick.now_ms,
            self._travel_of(tick.travel_version),
            params,
            f"{self._recording.city}-{tick.tick}",
            tick.fallback,
        )
        self._state.commit(result.decisions.changes)
        return Redone(tick, events, result, _difference(tick, result))

    def _begin_epoch(self, epoch: int) -> None:
        """A new owner knows positions from the log only."""
        self._epoch = epoch
        self._positions = RiderPositions()
        self._next_fixes = 0

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
        events: list[LogEvent] = []
        while self._next_event < len(self._heard) and self._heard[self._next_event].offset < end:
            event = self._heard[self._next_event]
            if self._seen.first_time(event.event_id):
                events.append(event)
            self._next_event += 1
        return tuple(events)

    def _seen_now(self, now_ms: int, params: EngineParams) -> Positions:
        snapshot = self._positions.snapshot(now_ms, round(params.candidates.max_age_s * 1000))
        fixes = snapshot.columns
        return Positions(fixes.rider_id, fixes.lat_e7, fixes.lng_e7, snapshot.age_ms)

    def _params_of(self, params_digest: str) -> EngineParams:
        if params_digest not in self._params:
            self._params[params_digest] = params_of(self._recording, params_digest)
        return self._params[params_digest]


def _difference(tick: RecordedTick, result: TickResult) -> str:
    decisions = result.decisions
    if digest(result.problem) != tick.problem_digest:
        return "problem"
    if digest(decisions.solution) != tick.solution_digest:
        return "solution"
    return "" if digest((decisions.records, decisions.changes)) == tick.decisions_digest else "decisions"
