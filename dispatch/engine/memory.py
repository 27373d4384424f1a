"""Memory of the engine about a city, from tick to tick."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatch.engine.computed_tick import ComputedTick
from dispatch.engine.eta.calibration import Eta
from dispatch.engine.eta.learning import CityLearning
from dispatch.engine.model import Order, OrderId, RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.state import CityState
from dispatch.engine.tracks import Track
from dispatch.engine.travel.learned import LearnedTravel


@dataclass(slots=True)
class CityMemory:
    """Entities, tracks, ETAs and lessons; changed by `apply_tick` and `learn_from_positions` once a tick is committed.

    `turns` are the riders with a plan, in the order in which their ETAs are due. `travel` is the learned model that
    ticks go by, None where they go by another. A new owner begins with entities and tracks as stored, no ETAs, and the
    lessons that were stored last.
    """

    state: CityState = field(default_factory=CityState)
    tracks: dict[OrderId, Track] = field(default_factory=dict)
    etas: Mapping[OrderId, Eta] = field(default_factory=dict)
    turns: tuple[RiderId, ...] = ()
    learning: CityLearning = field(default_factory=CityLearning)
    travel: LearnedTravel | None = None

    def apply_tick(self, tick: ComputedTick, params: EngineParams) -> None:
        """Take over the changes of a tick that was committed."""
        changes = tick.decisions.changes
        self.state.commit(changes)
        self.tracks.update((track.order_id, track) for track in tick.tracks.tracks)
        for order_id in changes.forgotten:
            self.tracks.pop(order_id, None)
        self.etas, self.turns = tick.etas, tick.turns
        ended: dict[OrderId, Order] = {order.order_id: order for order in changes.orders if order.ended}
        self.learning.learn_from_notes(tick.notes, ChainMap(ended, self.state.orders), self.state.riders, params)
        for outcome in tick.tracks.outcomes:
            self.learning.learn_from_delivery(outcome.quotes, outcome.delivered_ms)

    def learning_is_due(self, now_ms: int) -> bool:
        """Whether it is time to learn from where riders are."""
        return self.learning.is_due(now_ms)

    def learn_from_positions(self, tick: ComputedTick, params: EngineParams) -> None:
        """Learn from where riders were in a committed tick, if it is time. Array work: call it in a thread."""
        if self.learning.is_due(tick.now_ms):
            self.learning.learn_from_positions(tick.positions, self.state.riders, tick.now_ms, params)

    def begin_epoch(self, learning: CityLearning) -> None:
        """Become what a new owner begins with: all that is not stored is forgotten."""
        self.etas, self.turns, self.learning, self.travel = {}, (), learning, None
