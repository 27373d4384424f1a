"""Put the remaining drops of riders' plans into a better order, as times turn out otherwise than planned.

A plan's doors were put in order when its offer was made. Since then the kitchen was late, traffic turned, an order
went. Pickups stay where they are in the plan; only doors that follow one another change places, and only when that is
worth `EtaParams.resequence_s` to their customers: a rider is not turned round for less.

Only riders whose position is known are looked at, and so many a tick, in turn by the time: equal inputs, equal plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.eta.sequence import Sequencing, StopSequence, Task, cost_of, handovers_s
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Point, Rider, RiderId, Stop, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.service_times import half_s, until_left_s
from dispatch.engine.state import Draft
from dispatch.engine.travel.pairs import pair_seconds
from node.geodesy import points

#: Riders looked at in a tick.
A_TICK: Final = 20
_TURN_MS: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class StopChoice:
    """A rider with a choice: its stops, to be put in order."""

    rider_id: RiderId
    asked: Sequencing


def stops_to_sequence(
    draft: Draft, positions: Positions, now_ms: int, travel: TravelTimes, params: EngineParams
) -> tuple[StopChoice, ...]:
    """Choose the riders whose stops are put in order in this tick."""
    if params.eta.resequence_s <= 0:
        return ()
    found = _in_turn(draft, positions, now_ms, params)
    ways = _ways_s(found, now_ms, travel, params) if found else []
    return tuple(
        StopChoice(rider.rider_id, _sequencing(rider, ways_s, draft, now_ms, params))
        for (rider, _), ways_s in zip(found, ways, strict=True)
    )


def rearrange(
    draft: Draft,
    asked: Sequence[StopChoice],
    sequences: Sequence[StopSequence | None],
    now_ms: int,
    params: EngineParams,
) -> tuple[RiderId, ...]:
    """Puts stops into these sequences where that is worth it; returns whose."""
    changed: list[RiderId] = []
    for choice, sequence in zip(asked, sequences, strict=True):
        rider = draft.rider(choice.rider_id)
        assert rider is not None
        planned = tuple(range(len(rider.stops)))
        if sequence is None or sequence == planned:
            continue
        if cost_of(choice.asked, planned) - cost_of(choice.asked, sequence) < params.eta.resequence_s:
            continue
        timed = zip(sequence, handovers_s(choice.asked, sequence), strict=True)
        stops = tuple(_timed(rider.stops[i], choice.asked.tasks[i], done_s, now_ms) for i, done_s in timed)
        draft.put_rider(replace(rider, stops=stops))
        changed.append(rider.rider_id)
    return tuple(changed)


def _in_turn(draft: Draft, positions: Positions, now_ms: int, params: EngineParams) -> list[tuple[Rider, Point]]:
    """Riders with a choice whose position is known, as many as are due."""
    choosers = [rider for rider in draft.riders() if _has_choice(rider)]
    if not choosers:
        return []
    max_age_ms = params.candidates.max_age_s * 1000
    rows = {int(r): i for i, r in enumerate(positions.rider_ids) if positions.age_ms[i] <= max_age_ms}
    known = [(rider, rows[rider.rider_id]) for rider in choosers if rider.rider_id in rows]
    first = now_ms // _TURN_MS * A_TICK % len(known) if len(known) > A_TICK else 0
    return [
        (rider, Point(int(positions.lat_e7[row]), int(positions.lng_e7[row])))
        for rider, row in [*known, *known][first : first + min(A_TICK, len(known))]
    ]


def _has_choice(rider: Rider) -> bool:
    """Food on board, two doors one after the other, and nothing on the screen that rests on this plan."""
    stops = rider.stops
    doors = any(a.kind is StopKind.DROP and b.kind is StopKind.DROP for a, b in pairwise(stops))
    return rider.carrying and doors and rider.offer_id is None


@dataclass(frozen=True, slots=True)
class _Ways:
    """Rows of one rider's ways among those of all."""

    rows: slice
    stops: int


def _ways_s(
    asked: Sequence[tuple[Rider, Point]], now_ms: int, travel: TravelTimes, params: EngineParams
) -> list[NDArray[np.float64]]:
    """Seconds from each rider's place and each of its stops to each stop, (n + 1, n), a matrix a rider."""
    starts: list[Point] = []
    ends: list[Point] = []
    parts: list[_Ways] = []
    for rider, place in asked:
        doors = [stop.point for stop in rider.stops]
        ways = list(product([place, *doors], doors))
        parts.append(_Ways(slice(len(starts), len(starts) + len(ways)), len(doors)))
        starts += [start for start, _ in ways]
        ends += [end for _, end in ways]
    seconds = pair_seconds(travel, points(starts), points(ends), now_ms)
    return [
        seconds[part.rows].reshape(part.stops + 1, part.stops) * params.pace.of(rider.vehicle)
        for part, (rider, _) in zip(parts, asked, strict=True)
    ]


def _sequencing(
    rider: Rider, ways_s: NDArray[np.float64], draft: Draft, now_ms: int, params: EngineParams
) -> Sequencing:
    return Sequencing(
        tasks=tuple(_task(stop, draft, now_ms, params) for stop in rider.stops),
        ways_s=ways_s,
        before=_as_planned(rider.stops),
        on_board=rider.load - sum(_size(stop, draft) for stop in rider.stops if stop.kind is StopKind.PICKUP),
        capacity=max(rider.load, rider.capacity),
        start_s=_still_there_s(rider, draft, now_ms, params),
        late=params.cost.late,
    )


def _size(stop: Stop, draft: Draft) -> int:
    return sum(order.size for o in stop.order_ids if (order := draft.order(o)) is not None)


def _task(stop: Stop, draft: Draft, now_ms: int, params: EngineParams) -> Task:
    orders = [order for o in stop.order_ids if (order := draft.order(o)) is not None]
    size = _size(stop, draft)
    if stop.kind is StopKind.PICKUP:
        ready_ms = max((order.ready_ms for order in orders), default=now_ms)
        return Task(params.service.pickup_s, size, ready_s=max(0.0, (ready_ms - now_ms) / 1000))
    promised_ms = min((order.promised_ms for order in orders), default=now_ms)
    return Task(params.service.dropoff_s, -size, promised_s=(promised_ms - now_ms) / 1000)


def _as_planned(stops: Sequence[Stop]) -> tuple[tuple[int, int], ...]:
    """Pairs that keep their order: all but doors with nothing but doors between them."""
    run, runs = 0, []
    for at, stop in enumerate(stops):
        if at and (stop.kind is StopKind.PICKUP or stops[at - 1].kind is StopKind.PICKUP):
            run += 1
        runs.append(run)
    return tuple((i, j) for i, j in product(range(len(stops)), repeat=2) if runs[i] < runs[j])


def _still_there_s(rider: Rider, draft: Draft, now_ms: int, params: EngineParams) -> float:
    """Time until a rider who has just picked up leaves the counter."""
    orders = (draft.order(order_id) for stop in rider.stops for order_id in stop.order_ids)
    picked_ms = (order.picked_up_ms or 0 for order in orders if order is not None)
    return until_left_s(picked_ms, now_ms, half_s(StopKind.PICKUP, params.service))


def _timed(stop: Stop, task: Task, done_s: float, now_ms: int) -> Stop:
    """The stop as it is expected now. A counter is reached half a service before the handover at the latest."""
    done_ms, half_ms = now_ms + round(done_s * 1000), round(task.half_s * 1000)
    return replace(stop, arrive_ms=done_ms - half_ms, done_ms=done_ms, leave_ms=done_ms + half_ms)
