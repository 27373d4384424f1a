"""Simulate a recorded city again under another policy.

Orders, kitchens' words and riders' terms are as recorded; what riders do is modelled: each accepts after the recorded
median time, goes the straight way in the time of the travel model at its vehicle's pace, waits for the food, and hands
it over in the service time. Pace and service time are those of the recorded policy, whatever the policy lived under
takes them for: two policies in this one world differ by the policy alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderOpened,
    OrderReadyChanged,
    PickedUp,
    RiderArrived,
    RiderOnline,
)
from dispatch.engine.model import Offer, OfferId, OfferStatus, OrderId, Point, RiderId, Stop, StopKind, Vehicle
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.service_times import half_ms, handover
from dispatch.engine.snapshot import unpack_memory
from dispatch.engine.tick import run_tick
from dispatch.positions import PositionSnapshot, RiderPositions
from node.geodesy import distance_m, points, short_turn_e7
from proto.fix_columns import FixColumns
from simulator.whatif.script import Script

#: After the last recorded input the world goes on until every order has ended, at most so long; domain ms.
_AFTERMATH_MS = 3 * 3_600_000


@dataclass(slots=True)
class _RiderMotion:
    """A rider: on the way from `origin` (left at `left_ms`) to the stop ahead (there at `there_ms`)."""

    place: Point
    vehicle: Vehicle
    stops: tuple[Stop, ...] = ()
    origin: Point | None = None
    left_ms: int = 0
    there_ms: int = 0
    arrived: bool = False
    busy_until_ms: int = 0

    def at(self, now_ms: int) -> Point:
        """Place of the rider on the straight way."""
        if self.origin is None or not self.stops:
            return self.place
        target = self.stops[0].point
        if now_ms >= self.there_ms:
            return target
        share = max(0.0, (now_ms - self.left_ms) / max(1, self.there_ms - self.left_ms))
        return Point(
            round(self.origin.lat_e7 + share * (target.lat_e7 - self.origin.lat_e7)),
            short_turn_e7(self.origin.lng_e7 + round(share * short_turn_e7(target.lng_e7 - self.origin.lng_e7))),
        )


@dataclass(slots=True)
class Fates:
    """Fates of the orders: domain ms by order, metres ridden for them, and how often riders were troubled."""

    opened: dict[OrderId, OrderOpened] = field(default_factory=dict)
    picked_up: dict[OrderId, int] = field(default_factory=dict)
    delivered: dict[OrderId, int] = field(default_factory=dict)
    pickups: int = 0
    offers: int = 0
    churned: int = 0
    metres: float = 0.0
    #: Deliveries less the ETAs told at acceptance: what the policy said, not what became of the orders.
    eta_errors_s: list[float] = field(default_factory=list, compare=False)


def simulate(script: Script, params: EngineParams, travel: TravelTimes) -> Fates:
    """Play the script under a policy, tick by whole tick. Deterministic."""
    return _WhatIfWorld(script, params, travel).run()


class _WhatIfWorld:
    def __init__(self, script: Script, params: EngineParams, travel: TravelTimes) -> None:
        self._script, self._params, self._travel = script, params, travel
        self._memory = unpack_memory(script.start).memory
        self._positions = RiderPositions()
        state = self._memory.state
        self._bodies: dict[RiderId, _RiderMotion] = {}
        self._ready: dict[OrderId, int] = {o.order_id: o.ready_ms for o in state.orders.values()}
        self._replies: list[tuple[int, OfferReplied]] = []
        self._inbox: list[Input] = []
        self._next_line = 0
        self._fates = Fates()
        for rider_id, rider in state.riders.items():
            self._stand(rider_id, rider.vehicle)
            if rider_id in self._bodies and rider.stops:
                self._head_for(self._bodies[rider_id], rider.stops, script.began_ms, rider.arrived)
        for offer in state.offers.values():
            self._answer(offer, script.began_ms)

    def run(self) -> Fates:
        now_ms, number = self._script.began_ms, 0
        while now_ms <= self._script.ended_ms or (self._memory.state.orders and now_ms < self._last_ms()):
            number += 1
            self._tell(now_ms)
            self._move(now_ms)
            self._tick(now_ms, number)
            now_ms += self._script.step_ms
        return self._fates

    def _last_ms(self) -> int:
        return self._script.ended_ms + _AFTERMATH_MS

    def _tell(self, now_ms: int) -> None:
        lines = self._script.lines
        while self._next_line < len(lines) and lines[self._next_line].at_ms <= now_ms:
            line = lines[self._next_line]
            self._next_line += 1
            item = line.input
            if isinstance(item, RiderOnline):
                self._stand(item.rider_id, item.vehicle, line.place)
            elif isinstance(item, OrderOpened):
                self._fates.opened.setdefault(item.order_id, item)
                self._ready[item.order_id] = item.ready_ms
            elif isinstance(item, OrderReadyChanged):
                self._ready[item.order_id] = item.ready_ms
            self._inbox.append(item)

    def _stand(self, rider_id: RiderId, vehicle: Vehicle, place: Point | None = None) -> None:
        """The rider is somewhere; one never seen counts as out of sight, as it did for the recorded shard."""
        known = self._script.places.get(rider_id, place)
        if rider_id in self._bodies:
            self._bodies[rider_id].vehicle = vehicle
        elif known is not None:
            self._bodies[rider_id] = _RiderMotion(known, vehicle)

    def _move(self, now_ms: int) -> None:
        while self._replies and self._replies[0][0] <= now_ms:
            self._inbox.append(self._replies.pop(0)[1])
        for rider_id, body in self._bodies.items():
            while body.stops and self._step(rider_id, body, now_ms):
                pass

    def _step(self, rider_id: RiderId, body: _RiderMotion, now_ms: int) -> bool:
        """The next thing the rider does at its stop, if its time has come."""
        if now_ms < body.there_ms:
            return False
        stop = body.stops[0]
        half = half_ms(stop.kind, self._script.service)
        if stop.kind is StopKind.PICKUP:
            if not body.arrived:
                body.arrived = True
                self._inbox.append(RiderArrived(body.there_ms, rider_id))
            done_ms = handover(body.there_ms, half, max(self._ready.get(o, 0) for o in stop.order_ids))
            if now_ms < done_ms:
                return False
            self._inbox.append(PickedUp(done_ms, rider_id, stop.order_ids))
            self._fates.pickups += 1
            self._fates.picked_up.update(dict.fromkeys(stop.order_ids, done_ms))
        else:
            done_ms = handover(body.there_ms, half)
            if now_ms < done_ms:
                return False
            for order_id in stop.order_ids:
                self._inbox.append(Delivered(done_ms, rider_id, order_id))
                self._fates.delivered[order_id] = done_ms
        body.place, body.origin, body.arrived = stop.point, None, False
        body.stops = body.stops[1:]
        body.busy_until_ms = done_ms + half
        if body.stops:
            self._leave(body, body.busy_until_ms)
        return True

    def _leave(self, body: _RiderMotion, at_ms: int) -> None:
        """Sets out for the stop ahead."""
        start, target = body.place, body.stops[0].point
        ends = points([start]), points([target])
        way_s = float(self._travel.matrix(ends[0], ends[1], at_ms)[0, 0]) * self._script.pace.of(body.vehicle)
        self._fates.metres += distance_m(start, target)
        body.origin, body.left_ms, body.arrived = start, at_ms, False
        body.there_ms = at_ms + round(way_s * 1000)

    def _tick(self, now_ms: int, number: int) -> None:
        inputs, self._inbox = self._inbox, []
        name = f"whatif-{number}"
        seen = self._seen(now_ms, number)
        computed = run_tick(self._memory, inputs, seen, self._travel, self._params, name)
        self._memory.apply_tick(computed, self._params)
        self._memory.learn_from_positions(computed, self._params)
        decisions = computed.decisions
        self._fates.eta_errors_s += [outcome.error_s for outcome in computed.tracks.outcomes]
        self._fates.offers += len(decisions.offers)
        self._fates.churned += len(decisions.released)
        self._fates.churned += sum(o.status is OfferStatus.RETRACTED for o in decisions.changes.offers)
        for offer in decisions.offers:
            self._answer(offer, now_ms)
        for rider in decisions.changes.riders:
            body = self._bodies.get(rider.rider_id)
            if body is not None and rider.stops != body.stops:
                self._head_for(body, rider.stops, now_ms, rider.arrived)

    def _answer(self, offer: Offer, now_ms: int) -> None:
        at_ms = min(now_ms + self._script.reply_ms, offer.expires_ms - 1)
        self._replies.append((at_ms, OfferReplied(at_ms, OfferId(offer.offer_id), offer.rider_id, accepted=True)))
        self._replies.sort(key=lambda reply: (reply[0], reply[1].offer_id))

    def _head_for(self, body: _RiderMotion, stops: tuple[Stop, ...], now_ms: int, arrived: bool) -> None:
        """Takes the plan; if the place ahead is another one, turns there from where the rider is."""
        same = bool(stops) and bool(body.stops) and stops[0].point == body.stops[0].point
        here = body.at(now_ms)
        body.stops = stops
        if same:
            return
        body.place, body.origin = here, None
        if not stops:
            return
        self._leave(body, max(now_ms, body.busy_until_ms))
        if arrived:
            body.there_ms, body.arrived = min(body.there_ms, now_ms), True

    def _seen(self, now_ms: int, number: int) -> PositionSnapshot:
        """Positions of the riders: a fix of each at `now_ms`."""
        ids = sorted(self._bodies)
        places = [self._bodies[rider_id].at(now_ms) for rider_id in ids]
        fixes = FixColumns.zeros(len(ids))
        fixes.rider_id[:], fixes.session[:], fixes.seq[:], fixes.ts_ms[:] = ids, 1, number, now_ms
        fixes.lat_e7[:] = [place.lat_e7 for place in places]
        fixes.lng_e7[:] = [place.lng_e7 for place in places]
        self._positions.apply(fixes)
        return self._positions.snapshot(now_ms)
