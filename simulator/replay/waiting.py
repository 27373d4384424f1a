"""The MDRP variant that lets idle couriers be sent to a restaurant: away until they arrive, then waiting there."""

from __future__ import annotations

import numpy as np

from dispatch.engine.computed_tick import Matched
from dispatch.engine.inputs import OrderOpened, Positions
from dispatch.engine.model import RiderId
from dispatch.engine.params import EngineParams
from dispatch.engine.prepositioning.demand import Demand
from dispatch.engine.prepositioning.moves import Idle, idle_moves
from simulator.replay.history import Leg
from simulator.replay.instance import Instance
from simulator.replay.world import MINUTE_MS, ReplayWorld


class WaitingWorld(ReplayWorld):
    """A day with prepositioning, by `EngineParams.prepositioning`; what is expected comes from orders placed so far."""

    def __init__(self, instance: Instance, params: EngineParams) -> None:
        super().__init__(instance, params)
        self.demand = Demand(params.prepositioning.memory_s)
        #: Couriers on an idle move, until which minute; and when each was sent last.
        self._away: dict[RiderId, int] = {}
        self._sent: dict[RiderId, int] = {}

    def _happen(self, now: int) -> None:
        super()._happen(now)
        self._away = {rider: until for rider, until in self._away.items() if until > now}
        for event in self.inbox:
            if isinstance(event, OrderOpened):
                self.demand.opened(event)

    def _positions(self) -> Positions:
        """Positions of those who stand still and are not on an idle move."""
        seen = super()._positions()
        rest = ~np.isin(seen.rider_ids, np.array(list(self._away), np.uint64))
        return Positions(seen.rider_ids[rest], seen.lat_e7[rest], seen.lng_e7[rest], seen.age_ms[rest])

    def _decided(self, now: int, result: Matched, positions: Positions) -> None:
        """Sends the idle ones who got nothing."""
        given = {a.rider for a in result.decisions.solution.assigned}
        busy = {result.problem.riders.ids[row] for row in given} if result.problem is not None else set()
        every = self.params.prepositioning.every_s / 60
        at = [
            i
            for i, rider in enumerate(positions.rider_ids.tolist())
            if rider not in busy
            and self.body_of[RiderId(rider)].busy_until <= now
            and now - self._sent.get(RiderId(rider), -10_000) >= every
        ]
        ids = tuple(RiderId(rider) for rider in positions.rider_ids[at].tolist())
        places = np.stack([positions.lat_e7[at], positions.lng_e7[at]], axis=1).astype(np.int64)
        left_s = np.array([(self.body_of[r].courier.off - now) * 60.0 for r in ids])
        idle = Idle(ids, places, left_s)
        for move in idle_moves(idle, self.demand, now * MINUTE_MS, self.travel, self.params.prepositioning):
            body, restaurant = self.body_of[move.rider_id], str(move.restaurant_id)
            self.history.moves.append(Leg(now, body.courier.name, body.place, restaurant))
            self._away[move.rider_id] = now + self._way(body.place, restaurant)
            self._sent[move.rider_id] = now
            body.place = restaurant
