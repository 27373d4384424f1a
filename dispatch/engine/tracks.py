"""What is told about each order: to its customer (states, ETA) and to the other services (results).

Pure: a tick's notes and decisions in, changed tracks and results out. Results carry a version that grows by one per
order, so that consumers can drop repetitions and notice gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dispatch.engine.decide import Decisions
from dispatch.engine.eta.calibration import Quote
from dispatch.engine.model import Order, OrderId, OrderStatus, RiderId
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.state import Changes

#: An ETA that moved by less than this since it was last told is not worth an event, domain milliseconds.
SUBSTANCE_MS = 120_000


@dataclass(frozen=True, slots=True)
class Eta:
    """Expected drop-off, domain milliseconds: median and 90th percentile; and the quote they are, if it is one."""

    median_ms: int
    p90_ms: int
    quote: Quote | None = None

    @staticmethod
    def of(quote: Quote) -> Eta:
        """What a quote tells."""
        return Eta(quote.median_ms, quote.p90_ms, quote)


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """The order came into a state. `seq` grows by one."""

    seq: int
    state: OrderStatus
    at_ms: int


@dataclass(frozen=True, slots=True)
class Track:
    """An order's story so far. `version` is that of the last result; `told_*` the ETA as last told in one.

    `predicted_*` is the ETA at acceptance by the rider who has it; `quotes` holds the first of each stage, for
    calibration: when it was opened, when its rider accepted, when it was picked up.
    """

    order_id: OrderId
    version: int = 0
    events: tuple[TrackEvent, ...] = ()
    told_eta_ms: int = 0
    told_p90_ms: int = 0
    accepted_ms: int = 0
    predicted_ms: int = 0
    predicted_p90_ms: int = 0
    quotes: tuple[Quote, ...] = ()

    def quoted(self, eta: Eta) -> Track:
        """With the quote in the place of an earlier one of its stage."""
        if eta.quote is None:
            return self
        others = (quote for quote in self.quotes if quote.stage is not eta.quote.stage)
        return replace(self, quotes=(*others, eta.quote))

    def moved(self, state: OrderStatus, at_ms: int) -> Track:
        """With one more event, unless the order is in that state already."""
        if self.events and self.events[-1].state is state:
            return self
        return replace(self, events=(*self.events, TrackEvent(len(self.events) + 1, state, at_ms)))


class ResultKind(StrEnum):
    """Kinds of `dispatch.v1.DispatchEvent`."""

    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    FAILED = "failed"
    ETA_CHANGED = "eta_changed"


@dataclass(frozen=True, slots=True)
class Result:
    """Something the other services must hear. The event id is made of order and version, stable over retries."""

    order_id: OrderId
    version: int
    kind: ResultKind
    at_ms: int
    rider_id: RiderId
    eta: Eta
    reason: str = ""

    @property
    def event_id(self) -> str:
        return f"{self.order_id}.{self.version}"


@dataclass(frozen=True, slots=True)
class EtaOutcome:
    """A delivery against what was predicted when its rider accepted, and in each stage; domain milliseconds."""

    order_id: OrderId
    rider_id: RiderId
    placed_ms: int
    accepted_ms: int
    predicted_ms: int
    predicted_p90_ms: int
    delivered_ms: int
    quotes: tuple[Quote, ...] = ()

    @property
    def error_s(self) -> float:
        """Actual less predicted."""
        return (self.delivered_ms - self.predicted_ms) / 1000


@dataclass(frozen=True, slots=True)
class TrackChanges:
    """What a tick adds to the stories; `tracks` are whole, each once."""

    tracks: tuple[Track, ...] = ()
    results: tuple[Result, ...] = ()
    outcomes: tuple[EtaOutcome, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tracks or self.results)


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

    def tell(self, order_id: OrderId, kind: ResultKind, at_ms: int, rider_id: RiderId, reason: str = "") -> None:
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
    """The stories after a tick. `etas` holds the ETA of each order that a rider has or that is new, as of this tick."""
    writer = _Writer(before, etas)
    ended = {o.order_id: o for o in decisions.changes.orders if o.ended}
    for order in decisions.changes.orders:
        if order.order_id not in before:
            writer.open(order.order_id, max(order.placed_ms, 0))
    for note in notes:
        _tell_note(writer, note, ended)
    for order_id, rider_id in decisions.released:
        writer.tell(order_id, ResultKind.UNASSIGNED, now_ms, rider_id, "moved to another rider")
    _tell_states(writer, decisions.changes, now_ms)
    _tell_etas(writer, etas, now_ms)
    return TrackChanges(tuple(writer.tracks.values()), tuple(writer.results), tuple(writer.outcomes))


def _tell_note(writer: _Writer, note: Note, ended: Mapping[OrderId, Order]) -> None:
    if note.order_id is None or note.kind not in _STATE_OF:
        return
    writer.move(note.order_id, _STATE_OF[note.kind], note.at_ms)
    if note.kind not in _RESULT_OF:
        return
    rider_id = note.rider_id or RiderId(0)
    writer.tell(note.order_id, _RESULT_OF[note.kind], note.at_ms, rider_id, note.reason)
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


def _tell_states(writer: _Writer, changes: Changes, now_ms: int) -> None:
    """What no note told: offers made, declined and lapsed."""
    for order in changes.orders:
        writer.move(order.order_id, order.status, now_ms)


def _tell_etas(writer: _Writer, etas: Mapping[OrderId, Eta], now_ms: int) -> None:
    for order_id, eta in etas.items():
        track = writer.track(order_id)
        if track.told_eta_ms and abs(eta.median_ms - track.told_eta_ms) >= SUBSTANCE_MS:
            writer.tell(order_id, ResultKind.ETA_CHANGED, now_ms, RiderId(0))
