"""One watched order: what is known of it, and which frames its watchers get when more becomes known. Pure.

The privacy ladder is here and nowhere else: before pickup a rider is an H3 cell, after pickup a place, after the end
nothing. Stops of other customers' orders are told as a number of stops, never as places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway import metrics
from gateway.live import frames
from gateway.live.model import BEFORE_DISPATCH, EXACT, FINAL, LiveFix, OrderFacts, Place, RiderFix, StatusEvent, Track

#: Events of an order that are kept for watchers who come later; an order has about six.
MAX_HISTORY = 64
#: The cell a rider is in is said again at least so often, domain milliseconds, so that its age stays true.
CELL_EVERY_MS = 10_000

_old_epoch = metrics.STALE.labels("epoch").inc
_old_fix = metrics.STALE.labels("older").inc


class OrderWatch:
    """The state of a watched order."""

    def __init__(self, facts: OrderFacts, clock_line: Mapping[str, float]) -> None:
        self.facts = facts
        self.status = facts.status
        self.seq = 0
        self.epoch = 0
        self.eta_ms = facts.eta_ms
        self.eta_p90_ms = 0
        self._clock_line = clock_line
        self._events: list[StatusEvent] = list(facts.history)
        self._stops: list[dict[str, Any]] = []
        self._live: LiveFix | None = None
        self._dispatch_fix: RiderFix | None = None
        self._cell = 0
        self._cell_ts_ms = 0

    @property
    def final(self) -> bool:
        """Whether the order has ended and nothing more will come."""
        return self.status in FINAL

    def snapshot(self) -> bytes:
        """All a watcher may know now."""
        return frames.json_frame(
            {
                "type": "snapshot",
                "order_id": self.facts.order_id,
                "city": self.facts.city,
                "status": self.status,
                "events": [_event(event) for event in self._events],
                "rider": self._rider(),
                **self._plan(),
                "promised_ms": self.facts.promised_ms or None,
                "restaurant": {"name": self.facts.restaurant_name, **frames.place(self.facts.restaurant)},
                "dropoff": frames.place(self.facts.dropoff),
                "epoch": self.epoch,
                "seq": self.seq,
                "clock": self._clock_line,
            }
        )

    def resumed(self, epoch: int, seq: int) -> list[bytes] | None:
        """Frames missed by a watcher who had seen everything up to (epoch, seq); None when only a snapshot will do."""
        if epoch != self.epoch or seq > self.seq or seq < 1:
            return None
        head = {"type": "resumed", "status": self.status, "rider": self._rider(), "epoch": epoch, "seq": self.seq}
        missed = [self._status_frame(event) for event in self._events if event.seq > seq]
        return [*missed, frames.json_frame({**head, **self._plan()})]

    def on_facts(self, facts: OrderFacts) -> list[bytes]:
        """News from the orders service, which counts only until dispatch knows the order."""
        if self.seq:
            return []
        new = facts.history[len(self._events) :]
        self.facts = facts
        self.status = facts.status
        self._events = list(facts.history)
        return [self._status_frame(event) for event in new]

    def on_track(self, track: Track) -> list[bytes]:
        """News from dispatch: status events not yet seen, in order. An answer of an old epoch is dropped."""
        if track.epoch < self.epoch:
            _old_epoch()
            return []
        self.epoch = track.epoch
        planned = (self.eta_ms, self.eta_p90_ms, self._stops)
        self.eta_ms, self.eta_p90_ms = track.eta_ms or self.eta_ms, track.eta_p90_ms
        self._stops = self._own_stops(track)
        self._dispatch_fix = track.rider
        shown = self._take(track)
        self.status = track.status
        if shown:
            return [self._status_frame(event) for event in shown]
        if planned != (self.eta_ms, self.eta_p90_ms, self._stops):
            return [frames.json_frame({"type": "eta", **self._plan(), "epoch": self.epoch, "seq": self.seq})]
        return []

    def _take(self, track: Track) -> list[StatusEvent]:
        """Appends the events that are new and returns those that a customer can tell from the one before."""
        known = self.status if self.seq == 0 else ""
        if self.seq == 0:
            # From here on dispatch tells the story; what orders said of it already would be said twice.
            self._events = [event for event in self._events if event.status in BEFORE_DISPATCH]
        shown = []
        for event in track.events:
            if event.seq <= self.seq:
                continue
            self.seq = event.seq
            if not self._events or event.status != self._events[-1].status:
                self._events.append(event)
                shown.append(event)
        del self._events[:-MAX_HISTORY]
        # Who was told by orders how far it is (dispatch was away) must not see the way there as news.
        last = max((at for at, event in enumerate(shown) if event.status == known), default=0)
        return shown[last:]

    def on_fix(self, epoch: int, fix: LiveFix) -> bytes | None:
        """A position: the frame for the watchers, or None when they must not see it or know it already."""
        if self.status in FINAL:
            return None
        if epoch < self.epoch:
            _old_epoch()
            return None
        last = self._live
        # Sessions of two riders cannot be compared; the owner of the city says who has the order now.
        if last is not None and last.rider_id == fix.rider_id and not _newer(fix, last):
            _old_fix()
            return None
        self.epoch = epoch
        self._live = fix
        self.eta_ms = fix.eta_ms or self.eta_ms
        if fix.picked_up or self.status == EXACT:
            return frames.exact_frame(fix, epoch)
        return self._cell_frame(fix)

    def _cell_frame(self, fix: LiveFix) -> bytes | None:
        cell = frames.cell_of(Place(fix.lat_e7, fix.lng_e7))
        if cell == self._cell and fix.ts_ms - self._cell_ts_ms < CELL_EVERY_MS:
            return None
        self._cell, self._cell_ts_ms = cell, fix.ts_ms
        view = frames.cell_view(cell, fix.ts_ms)
        return frames.json_frame({"type": "position", **view, "eta_ms": self.eta_ms or None, "epoch": self.epoch})

    def _rider(self) -> dict[str, Any] | None:
        """The rider's newest position, from the live channel or from dispatch, as far as a customer may see it."""
        if self.final:
            return None
        live, tracked = self._live, self._dispatch_fix
        if live is not None and (tracked is None or live.ts_ms >= tracked.ts_ms):
            fix, heading = RiderFix(Place(live.lat_e7, live.lng_e7), live.ts_ms), live.heading_cdeg / 100
        elif tracked is not None:
            fix, heading = tracked, None
        else:
            return None
        if self.status == EXACT:
            return frames.exact_view(fix, heading)
        return frames.cell_view(frames.cell_of(fix.at), fix.ts_ms)

    def _plan(self) -> dict[str, Any]:
        return {"eta_ms": self.eta_ms or None, "eta_p90_ms": self.eta_p90_ms or None, "stops": self._stops}

    def _own_stops(self, track: Track) -> list[dict[str, Any]]:
        stops = []
        for before, stop in enumerate(track.stops):
            if self.facts.order_id in stop.order_ids:
                stops.append(
                    {"kind": stop.kind, **frames.place(stop.at), "eta_ms": stop.eta_ms, "stops_before": before}
                )
        return stops

    def _status_frame(self, event: StatusEvent) -> bytes:
        return frames.json_frame({"type": "status", **_event(event), **self._plan(), "epoch": self.epoch})


def _newer(fix: LiveFix, last: LiveFix) -> bool:
    return fix.session > last.session or (fix.session == last.session and fix.seq > last.seq)


def _event(event: StatusEvent) -> dict[str, Any]:
    return {"seq": event.seq, "status": event.status, "at_ms": event.at_ms}
