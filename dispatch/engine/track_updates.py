"""Update the tracks of a tick: to customers go states and ETAs, to the other services results.

Pure: a tick's notes and decisions in, changed tracks and results out. Results carry a version that grows by one per
order, so that consumers can drop repetitions and notice gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dispatch.engine.decide import Decisions
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.state import Changes
from dispatch.engine.tracks import EtaOutcome, Result, ResultKind, Track, TrackChanges

#: An ETA that moved by less than this since it was last told is not worth an event, domain milliseconds.
SUBSTANCE_MS = 120_000

_RESULT_OF = {
    NoteKind.ASSIGNED: ResultKind.ASSIGNED,
    NoteKind.UNASSIGNED: ResultKind.UNASSIGNED,
    NoteKind.PICKED_UP: ResultKind.PICKED_UP,
    NoteKind.DELIVERED: ResultKind.DELIVERED,
    NoteKind.FAILED: ResultKind.FAILED,
}
_STATE_OF = {
    NoteKind.ASSIGNED: OrderStatus.ASSIGNED,
    NoteKind.UNASSIGNED: OrderStatus.OPEN,
    NoteKind.PICKED_UP: OrderStatus.PICKED_UP,
    NoteKind.DELIVERED: OrderStatus.DELIVERED,
    NoteKind.CANCELLED: OrderStatus.CANCELLED,
    NoteKind.FAILED: OrderStatus.FAILED,
}


@dataclass(slots=True)
class _Writer:
    before: Mapping[OrderId, Track]
    etas: Mapping[OrderId, Eta]
    tracks: dict[OrderId, Track] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    outcomes: list[EtaOutcome] = field(default_factory=list)

    def track(self, order_id: OrderId) -> Track:
        return self.tracks.get(order_id) or self.before.get(order_id) or Track(order_id)

    def move(self, order_id: OrderId, state: OrderStatus, at_ms: int) -> None:
        moved = self.track(order_id).moved(state, at_ms)
        if moved is not self.before.get(order_id):
            self.tracks[order_id] = moved

    def open(self, order_id: OrderId, at_ms: int) -> None:
        track = self.track(order_id).moved(OrderStatus.OPEN, at_ms)
        eta = self.etas.get(order_id)
        self.tracks[order_id] = track.quoted(eta) if eta is not None else track

    def add_result(self, order_id: OrderId, kind: ResultKind, at_ms: int, rider_id: RiderId, reason: str = "") -> None:
        track = self.track(order_id)
        eta = self.etas.get(order_id, Eta(0, 0))
        version = track.version + 1
        self.results.append(Result(order_id, version, kind, at_ms, rider_id, eta, reason))
        track = replace(track, version=version, told_eta_ms=eta.median_ms, told_p90_ms=eta.p90_ms)
        if kind is ResultKind.ASSIGNED:
            track = replace(track, accepted_ms=at_ms, predicted_ms=eta.median_ms, predicted_p90_ms=eta.p90_ms)
        if kind in (ResultKind.ASSIGNED, ResultKind.PICKED_UP):
            track = track.quoted(eta)
        self.tracks[order_id] = track


def update_tracks(
    before: Mapping[OrderId, Track],
    notes: Iterable[Note],
    decisions: Decisions,
    etas: Mapping[OrderId, Eta],
    now_ms: int,
) -> TrackChanges:
    """The tracks after a tick, and results. `etas` holds the ETA, as of this tick, of each order under way."""
    writer = _Writer(before, etas)
    ended = {o.order_id: o for o in decisions.changes.orders if o.ended}
    for order in decisions.changes.orders:
        if order.order_id not in before:
            writer.open(order.order_id, max(order.placed_ms, 0))
    for note in notes:
        _add_note(writer, note, ended)
    for order_id, rider_id in decisions.released:
        writer.add_result(order_id, ResultKind.UNASSIGNED, now_ms, rider_id, "moved to another rider")
    _add_states(writer, decisions.changes, now_ms)
    _add_changed_etas(writer, etas, now_ms)
    return TrackChanges(tuple(writer.tracks.values()), tuple(writer.results), tuple(writer.outcomes))


def _add_note(writer: _Writer, note: Note, ended: Mapping[OrderId, Order]) -> None:
    if note.order_id is None or note.kind not in _STATE_OF:
        return
    writer.move(note.order_id, _STATE_OF[note.kind], note.at_ms)
    if note.kind not in _RESULT_OF:
        return
    rider_id = note.rider_id or RiderId(0)
    writer.add_result(note.order_id, _RESULT_OF[note.kind], note.at_ms, rider_id, note.reason)
    track, order = writer.track(note.order_id), ended.get(note.order_id)
    if note.kind is NoteKind.DELIVERED and order is not None and track.predicted_ms:
        writer.outcomes.append(
            EtaOutcome(
                order.order_id,
                rider_id,
                order.placed_ms,
                track.accepted_ms,
                track.predicted_ms,
                track.predicted_p90_ms,
                note.at_ms,
                track.quotes,
            )
        )


def _add_states(writer: _Writer, changes: Changes, now_ms: int) -> None:
    """States that no note tells: offers made, declined and lapsed."""
    for order in changes.orders:
        writer.move(order.order_id, order.status, now_ms)


def _add_changed_etas(writer: _Writer, etas: Mapping[OrderId, Eta], now_ms: int) -> None:
    for order_id, eta in etas.items():
        track = writer.track(order_id)
        if track.told_eta_ms and abs(eta.median_ms - track.told_eta_ms) >= SUBSTANCE_MS:
            writer.add_result(order_id, ResultKind.ETA_CHANGED, now_ms, RiderId(0))
