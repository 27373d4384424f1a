"""A simulated rider: a state machine over shift, road, counter and door, driven by the time and by what the app shows.

```
 off ── shift begins ──> resting ── route ──> driving ──> at a stop ──> driving … ──> resting ── shift ends ──> off
                          └─ drift towards a busy restaurant ─┘
```

The route the system sends is the truth about what to carry. Between a yes and the route that confirms it, the rider
goes by the stops of the offer; at the counter food is handed over only for orders a route has confirmed. Food on board
is always delivered, whatever a route says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from simulator.city.actions import (
    Action,
    Answered,
    Arrived,
    Delivered,
    Offline,
    Online,
    PickedUp,
    Seen,
    SignalBack,
    SignalLost,
)
from simulator.city.gps import Gps
from simulator.city.model import Offer, OfferId, OrderId, Place, Pose, RiderId, Route, Stop, StopKind
from simulator.city.motion import Trip, Ways
from simulator.city.params import RiderParams
from simulator.city.rider_tasks import RiderTasks
from simulator.city.shifts import Shifts
from simulator.city.traffic import FreeTraffic, Traffic

#: Later than any event.
NEVER_MS = 1 << 62

#: When the food of an order is really ready, given when it was said to be: the kitchen knows.
ReadyTimes = Callable[[OrderId, int], int]
#: Somewhere worth waiting, near a place.
HotPlaces = Callable[[Place, Random], Place]


@dataclass(frozen=True, slots=True)
class Profile:
    """Traits of a rider. `pace` multiplies the seconds of every way."""

    rider_id: RiderId
    home: Place
    shifts: Shifts
    capacity: int = 2
    vehicle: str = "scooter"
    pace: float = 1.0


@dataclass(frozen=True, slots=True)
class RiderSurroundings:
    """A rider's surroundings: ways, kitchens, places to wait, traffic."""

    ways: Ways
    ready_ms: ReadyTimes
    hot_place: HotPlaces
    traffic: Traffic = field(default_factory=FreeTraffic)


@dataclass(frozen=True, slots=True)
class _Resting:
    pose: Pose
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Driving:
    trip: Trip
    departed_ms: int
    goal: Stop | None

    @property
    def until_ms(self) -> int:
        return self.departed_ms + round(self.trip.duration_s * 1000)


@dataclass(frozen=True, slots=True)
class _AtStop:
    stop: Stop
    pose: Pose
    arrived_ms: int
    handover_ms: int
    leave_ms: int | None = None

    @property
    def until_ms(self) -> int:
        return self.handover_ms if self.leave_ms is None else self.leave_ms


class Rider:
    """One rider. `step` and `hear` give what the rider does; nothing else has an effect."""

    def __init__(
        self, profile: Profile, world: RiderSurroundings, params: RiderParams, rng: Random, now_ms: int
    ) -> None:
        self.profile = profile
        self._world = world
        self._params = params
        self._rng = rng
        self._gps = Gps(params, rng, now_ms)
        self._todo = RiderTasks()
        self._doing: _Resting | _Driving | _AtStop = _Resting(Pose(profile.home), NEVER_MS)
        self._shift = profile.shifts.after(now_ms)
        self._working = False
        self._answers: dict[OfferId, tuple[int, bool, Offer]] = {}
        self._answered: dict[OfferId, bool] = {}
        self._signal = True
        self._signal_ms = self._next_loss_ms(now_ms)
        self._last_ms = now_ms
        self._out: list[Action] = []

    @property
    def working(self) -> bool:
        """Whether the rider is on shift."""
        return self._working

    @property
    def busy(self) -> bool:
        """Whether the rider still has something to carry."""
        return bool(self._todo.stops()) or isinstance(self._doing, _AtStop)

    @property
    def has_signal(self) -> bool:
        """The phone has network."""
        return self._signal

    def due_ms(self) -> int:
        """Time when `step` next has something to do."""
        return min(self._next_event_ms(), self._gps.due_ms if self._working else NEVER_MS)

    def step(self, now_ms: int) -> list[Action]:
        """Actions of the rider up to now, each at its own time, in order; then a fix if one is due."""
        self._catch_up(now_ms)
        if self._working and self._gps.due_ms <= now_ms:
            self._out.append(self._gps.fix(self.pose(now_ms), now_ms))
        return self._flush()

    def hear_offer(self, offer: Offer, now_ms: int) -> list[Action]:
        """The app shows an offer; the answer comes in a few seconds. A known offer changes nothing."""
        self._catch_up(now_ms)
        if offer.offer_id not in self._answered and offer.offer_id not in self._answers:
            accepted = self._working and self._rng.random() >= self._params.decline
            due_ms = now_ms + self._draw_ms(self._params.answer_s)
            self._answers[offer.offer_id] = (due_ms, accepted, offer)
        self._out.append(Seen(offer.offer_id))
        return self._flush()

    def hear_retracted(self, offer_id: OfferId, now_ms: int) -> list[Action]:
        """The offer is gone; an unconfirmed yes to it is forgotten."""
        self._catch_up(now_ms)
        self._answers.pop(offer_id, None)
        if self._todo.forget(offer_id):
            self._replan(now_ms)
        return self._flush()

    def hear_route(self, route: Route, now_ms: int) -> list[Action]:
        """The whole plan anew; an older version than the last is ignored."""
        self._catch_up(now_ms)
        if self._todo.follow(route):
            self._replan(now_ms)
        return self._flush()

    def pose(self, now_ms: int) -> Pose:
        """The rider's true place."""
        if isinstance(self._doing, _Driving):
            return self._doing.trip.pose((now_ms - self._doing.departed_ms) / 1000)
        return self._doing.pose

    def _catch_up(self, now_ms: int) -> None:
        """Lives through everything due up to now. What was held up (a shift's end, by an order) happens late."""
        while (due_ms := self._next_event_ms()) <= now_ms:
            self._last_ms = max(self._last_ms, due_ms)
            self._happen(self._last_ms)

    def _next_event_ms(self) -> int:
        answers = (due_ms for due_ms, _, _ in self._answers.values())
        return min(self._shift_edge_ms(), self._doing.until_ms, self._signal_ms, min(answers, default=NEVER_MS))

    def _shift_edge_ms(self) -> int:
        if self._shift is None:
            return NEVER_MS
        if not self._working:
            return self._shift.on_ms
        return NEVER_MS if self.busy else self._shift.off_ms

    def _happen(self, at_ms: int) -> None:
        """The one thing that is due first."""
        if self._shift_edge_ms() <= at_ms:
            self._change_shift(at_ms)
        elif self._signal_ms <= at_ms:
            self._change_signal(at_ms)
        elif self._doing.until_ms <= at_ms:
            self._go_on(at_ms)
        else:
            self._answer(at_ms)

    def _change_shift(self, at_ms: int) -> None:
        assert self._shift is not None
        self._working = not self._working
        if self._working:
            self._out.append(Online(at_ms, self.pose(at_ms).at, self._shift.off_ms))
            self._rest(at_ms)
        else:
            self._out.append(Offline(at_ms))
            self._doing = _Resting(self.pose(at_ms), NEVER_MS)
            self._shift = self.profile.shifts.after(at_ms)

    def _change_signal(self, at_ms: int) -> None:
        self._signal = not self._signal
        if self._signal:
            self._out.append(SignalBack(at_ms))
            self._signal_ms = self._next_loss_ms(at_ms)
        else:
            self._out.append(SignalLost(at_ms))
            self._signal_ms = at_ms + self._draw_ms(self._params.loss_s)

    def _next_loss_ms(self, now_ms: int) -> int:
        rate = self._params.losses_per_hour
        return now_ms + round(self._rng.expovariate(rate) * 3_600_000) if rate > 0 else NEVER_MS

    def _answer(self, at_ms: int) -> None:
        offer_id = min(self._answers, key=lambda known: self._answers[known][0])
        _, accepted, offer = self._answers.pop(offer_id)
        if offer.expires_ms <= at_ms:
            return
        self._answered[offer_id] = accepted
        if len(self._answered) > 200:
            self._answered.pop(next(iter(self._answered)))
        self._out.append(Answered(at_ms, offer_id, accepted))
        if accepted:
            self._todo.take(offer, forget_ms=at_ms + round(self._params.confirm_s * 1000))
            self._replan(at_ms)

    def _go_on(self, at_ms: int) -> None:
        """The present activity has come to its end."""
        doing = self._doing
        if isinstance(doing, _AtStop):
            if doing.leave_ms is None:
                self._hand_over(doing, at_ms)
            else:
                self._next_goal(at_ms)
        elif isinstance(doing, _Driving) and doing.goal is not None:
            self._arrive(doing.goal, at_ms)
        elif isinstance(doing, _Driving):
            self._rest(at_ms)
        else:
            self._drift_or_stay(at_ms)

    def _rest(self, at_ms: int) -> None:
        self._doing = _Resting(Pose(self.pose(at_ms).at), at_ms + self._draw_ms(self._params.rest_s))

    def _drift_or_stay(self, at_ms: int) -> None:
        if self._rng.random() < self._params.drift:
            self._drive(self._world.hot_place(self.pose(at_ms).at, self._rng), None, at_ms)
        else:
            self._rest(at_ms)

    def _drive(self, to: Place, goal: Stop | None, at_ms: int) -> None:
        trip = self._world.traffic.driven(self._world.ways.trip(self.pose(at_ms).at, to), at_ms, self._rng)
        pace = self.profile.pace
        self._doing = _Driving(trip if pace == 1.0 else trip.slowed(pace), at_ms, goal)

    def _arrive(self, stop: Stop, at_ms: int) -> None:
        if stop.kind is StopKind.PICKUP:
            self._out.append(Arrived(at_ms, stop.order_ids))
        pose = Pose(stop.at, self.pose(at_ms).heading_deg)
        self._doing = _AtStop(stop, pose, at_ms, self._handover_ms(stop, at_ms))

    def _handover_ms(self, stop: Stop, arrived_ms: int) -> int:
        """Time of the handover: half the service time after arrival, and not before the food is ready.

        Not `dispatch.engine.service_times`: the simulated city knows nothing of the engine, and its halves surprise.
        """
        if stop.kind is StopKind.DROP:
            return arrived_ms + self._service_ms(self._params.dropoff_s)
        at_counter_ms = arrived_ms + self._service_ms(self._params.pickup_s)
        return max([at_counter_ms, *(self._world.ready_ms(order_id, stop.ready_ms) for order_id in stop.order_ids)])

    def _hand_over(self, doing: _AtStop, at_ms: int) -> None:
        stop = doing.stop
        if stop.kind is StopKind.DROP:
            for order_id in stop.order_ids:
                self._todo.delivered(order_id)
                self._out.append(Delivered(at_ms, order_id))
            self._doing = replace(doing, leave_ms=at_ms + self._service_ms(self._params.dropoff_s))
            return
        wait_ms = self._todo.unconfirmed_until_ms(stop.order_ids)
        if wait_ms > at_ms:
            self._doing = replace(doing, handover_ms=wait_ms)
        elif wait_ms:
            self._todo.forget_unconfirmed(stop.order_ids)
            self._replan(at_ms)
        else:
            self._todo.picked_up(stop.order_ids)
            self._out.append(PickedUp(at_ms, stop.order_ids))
            self._doing = replace(doing, leave_ms=at_ms + self._service_ms(self._params.pickup_s))

    def _replan(self, at_ms: int) -> None:
        """React to a change of plan: go elsewhere, wait for more food, or go on as before."""
        doing = self._doing
        if isinstance(doing, _AtStop):
            if doing.leave_ms is None and doing.stop.kind is StopKind.PICKUP:
                self._replan_at_counter(doing, at_ms)
            return
        goal = next(iter(self._todo.stops()), None)
        if isinstance(doing, _Driving) and goal is not None and _same_place(doing.goal, goal):
            self._doing = replace(doing, goal=goal)
        elif goal is not None or (isinstance(doing, _Driving) and doing.goal is not None):
            self._next_goal(at_ms)

    def _replan_at_counter(self, doing: _AtStop, at_ms: int) -> None:
        stop = next(iter(self._todo.stops()), None)
        if stop is None or not _same_place(doing.stop, stop):
            self._next_goal(at_ms)
            return
        handover_ms = max(at_ms, self._handover_ms(stop, doing.arrived_ms))
        self._doing = replace(doing, stop=stop, handover_ms=handover_ms)

    def _next_goal(self, at_ms: int) -> None:
        goal = next(iter(self._todo.stops()), None)
        if goal is None:
            self._rest(at_ms)
        else:
            self._drive(goal.at, goal, at_ms)

    def _service_ms(self, whole_s: float) -> int:
        """Half of a service, as long as it takes this time."""
        surprise = self._params.service_surprise
        factor = self._rng.lognormvariate(0, surprise) if surprise > 0 else 1.0
        return round(whole_s * 500 * factor)

    def _draw_ms(self, spread_s: tuple[float, float]) -> int:
        return round(self._rng.uniform(*spread_s) * 1000)

    def _flush(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _same_place(a: Stop | None, b: Stop) -> bool:
    return a is not None and a.kind is b.kind and a.at == b.at
