"""Tell the rest of the shard what a tick did: metrics, counters, wakes, the relay of the outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dispatch.engine.computed_tick import ComputedTick
from dispatch.engine.model import OfferStatus
from dispatch.engine.notes import NoteKind
from dispatch.metrics import CityMetrics
from dispatch.shard.decided import DecidedTick
from dispatch.shard.live_city import LiveCity
from dispatch.shard.wakes import Wakes


@dataclass(frozen=True, slots=True)
class AfterTick:
    """Told of each tick of a city; `wrote` is called when there may be something in the outbox."""

    city: LiveCity
    metrics: CityMetrics
    wakes: Wakes
    wrote: Callable[[], None]

    def solved(self, computed: ComputedTick) -> None:
        """Count a fallback, in ticks that change nothing too."""
        if fallback := computed.fallbacks.solver:
            self.city.counters.ticks_fallback += 1
            self.metrics.fallback(fallback)

    def committed(self, tick: DecidedTick, took_ms: float) -> None:
        """Count a tick that was committed, and wake whoever waits for what it changed."""
        self._count(tick, took_ms)
        self.wrote()
        changes, tracks = tick.computed.decisions.changes, tick.computed.tracks
        orders = {t.order_id for t in tracks.tracks} | {o.order_id for o in changes.orders}
        riders = {r.rider_id for r in changes.riders} | {o.rider_id for o in changes.offers}
        self.wakes.changed(orders, riders)

    def _count(self, tick: DecidedTick, took_ms: float) -> None:
        counters, metrics, decisions = self.city.counters, self.metrics, tick.computed.decisions
        counters.tick_ms.append(took_ms)
        metrics.tick_ms.observe(took_ms)
        counters.ticks_committed += 1
        counters.events_taken += len(tick.events)
        counters.offers_made += len(decisions.offers)
        metrics.offers.inc(len(decisions.offers))
        counters.offers_declined += sum(o.status is OfferStatus.DECLINED for o in decisions.changes.offers)
        for note in tick.computed.notes:
            counters.orders_delivered += note.kind is NoteKind.DELIVERED
            metrics.delivered.inc(note.kind is NoteKind.DELIVERED)
            if note.kind in (NoteKind.REFUSED, NoteKind.DUPLICATE):
                counters.events_refused += 1
                metrics.event(note.reason or note.kind)
        for outcome in tick.computed.tracks.outcomes:
            metrics.eta_error_s.observe(outcome.error_s)
        metrics.open_orders.set(len(self.city.state.orders))
        metrics.riders_online.set(sum(r.online for r in self.city.state.riders.values()))
