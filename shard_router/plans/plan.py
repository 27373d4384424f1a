"""Plan the fewest moves that bring every shard under its target, or that empty one. Pure.

The fewest moves are found exactly (CP-SAT, one thread, fixed seed and work) for a map of up to `EXACT_PAIRS` pairs of
city and shard; beyond, and when the work runs out, the heaviest cities go first to where there is most room.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from shard_router.errors import PlanRefused
from shard_router.plans.move_checks import check_drain
from shard_router.topology import CityEntry, CityMap

EXACT_PAIRS = 5_000
#: How far above the even share a shard may be, when no target is given.
SLACK = 1.2
#: Limit of the exact search, in the solver's deterministic seconds.
_WORK = 2.0


class StepState(StrEnum):
    """State of a step of a plan. One that failed or was skipped is tried again when the plan is resumed."""

    WAITING = "waiting"
    MOVING = "moving"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class PlanState(StrEnum):
    """State of a plan."""

    PROPOSED = "proposed"
    RUNNING = "running"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a plan, and what it disturbs: riders and open orders of the city when the plan was made."""

    city: str
    from_shard: str
    to_shard: str
    riders: int
    open_orders: int
    state: StepState = StepState.WAITING
    reason: str = ""
    move_id: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order. `plan_id` is 0 before it is stored; `drains` is the shard that it empties."""

    plan_id: int
    state: PlanState
    steps: tuple[Step, ...]
    drains: str | None = None
    actor: str = ""
    reason: str = ""


NOTHING = Plan(0, PlanState.DONE, ())
"""The plan of a map that needs none."""


def burdens(map_: CityMap) -> dict[str, int]:
    """Load of each open shard, in riders."""
    carried = dict.fromkeys(map_.open_shards(), 0)
    for city in map_.cities.values():
        if city.owner in carried:
            carried[city.owner] += city.load.burden
    return carried


def moved(map_: CityMap, steps: Sequence[Step]) -> CityMap:
    """The map as it will be."""
    places = {step.city: step.to_shard for step in steps}
    cities = {name: replace(city, owner=places.get(name, city.owner)) for name, city in map_.cities.items()}
    return replace(map_, cities=cities)


def default_target(map_: CityMap) -> int:
    """A little above the even share; never below the heaviest city, which cannot be cut."""
    carried = burdens(map_)
    if not carried:
        return 0
    heaviest = max((c.load.burden for c in map_.cities.values() if c.owner in carried), default=0)
    return max(math.ceil(SLACK * sum(carried.values()) / len(carried)), heaviest)


def balance(map_: CityMap, target: int) -> tuple[Step, ...]:
    """The fewest moves that bring every shard to its target or, if none can, as near to it as may be."""
    carried = burdens(map_)
    cities = [c for c in map_.cities.values() if c.owner in carried and c.moving_to is None]
    if all(load <= target for load in carried.values()):
        return ()
    return _steps(cities, _places(cities, carried, target))


def empty(map_: CityMap, shard_id: str) -> tuple[Step, ...]:
    """Moves that take every city from a shard, to where there is most room; not those that are moving already.

    Raises as `check_drain`.
    """
    check_drain(map_, shard_id)
    carried = burdens(map_)
    carried.pop(shard_id, None)
    cities = [c for c in map_.owned_by(shard_id) if c.moving_to is None]
    return _steps(cities, _spread(cities, carried))


def emptied(map_: CityMap, shard_id: str) -> bool:
    """Whether a shard has no city and none is on its way to it."""
    return not any(shard_id in (city.owner, city.moving_to) for city in map_.cities.values())


def check_none_runs(running: Plan | None) -> None:
    """Raises `PlanRefused` while a plan runs: only one does at a time."""
    if running is not None:
        raise PlanRefused(f"plan {running.plan_id} runs; stop it first", reason="PLAN_RUNS")


def check_plan(plan: Plan | None, plan_id: int, state: PlanState, running: Plan | None) -> None:
    """Whether a plan may come into that state. Raises `PlanRefused`."""
    if plan is None:
        raise PlanRefused(f"there is no plan {plan_id}", reason="UNKNOWN_PLAN")
    if state is PlanState.RUNNING and plan.state is PlanState.DONE:
        raise PlanRefused(f"plan {plan_id} is done", reason="PLAN_DONE")
    if state is PlanState.RUNNING and (running is None or running.plan_id != plan_id):
        check_none_runs(running)


def _steps(cities: Sequence[CityEntry], places: Mapping[str, str]) -> tuple[Step, ...]:
    """Lightest first: should one go wrong, little was at stake."""
    moved = [c for c in cities if places[c.city] != c.owner]
    moved.sort(key=lambda c: (c.load.burden, c.city))
    return tuple(Step(c.city, c.owner or "", places[c.city], c.load.riders, c.load.open_orders) for c in moved)


def _spread(cities: Sequence[CityEntry], carried: Mapping[str, int]) -> dict[str, str]:
    """Heaviest first, each to the shard that carries least."""
    load, places = dict(carried), {}
    for city in sorted(cities, key=lambda c: (-c.load.burden, c.city)):
        places[city.city] = min(load, key=lambda shard: (load[shard], shard))
        load[places[city.city]] += city.load.burden
    return places


def _places(cities: Sequence[CityEntry], carried: Mapping[str, int], target: int) -> dict[str, str]:
    greedy = _greedy(cities, carried, target)
    if len(cities) * len(carried) > EXACT_PAIRS:
        return greedy
    return _exact(cities, sorted(carried), target, greedy)


def _greedy(cities: Sequence[CityEntry], carried: Mapping[str, int], target: int) -> dict[str, str]:
    """Choose moves from shards above the target: the lightest city that is enough, else the heaviest, to free room."""
    load, places = dict(carried), {c.city: c.owner or "" for c in cities}
    stuck: set[str] = set()
    while over := [shard for shard in load if load[shard] > target and shard not in stuck]:
        source = max(over, key=lambda shard: (load[shard], shard))
        least = min(load, key=lambda shard: (load[shard], shard))
        here = sorted((c for c in cities if places[c.city] == source), key=lambda c: (c.load.burden, c.city))
        fitting = [c for c in here if load[least] + c.load.burden < load[source]]
        if not fitting:
            stuck.add(source)
            continue
        enough = [c for c in fitting if load[source] - c.load.burden <= target]
        city = enough[0] if enough else fitting[-1]
        places[city.city] = least
        load[source] -= city.load.burden
        load[least] += city.load.burden
    return places


def _exact(cities: Sequence[CityEntry], shards: Sequence[str], target: int, hint: Mapping[str, str]) -> dict[str, str]:
    """Least excess above the target, then fewest moves, then fewest riders disturbed."""
    from ortools.sat.python import cp_model  # slow to import, and few processes plan

    model = cp_model.CpModel()
    total = sum(c.load.burden for c in cities)
    goes = {(c.city, shard): model.new_bool_var(f"{c.city}@{shard}") for c in cities for shard in shards}
    cost = []
    for shard in shards:
        excess = model.new_int_var(0, total, f"excess of {shard}")
        model.add(sum(c.load.burden * goes[c.city, shard] for c in cities) - target <= excess)
        cost.append((total + 1) * (len(cities) + 1) * excess)
    for city in cities:
        model.add_exactly_one(goes[city.city, shard] for shard in shards)
        stays = goes[city.city, city.owner or ""]
        cost.append((total + city.load.burden) * (1 - stays))
        for shard in shards:
            model.add_hint(goes[city.city, shard], hint[city.city] == shard)
    model.minimize(sum(cost))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = _WORK
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return dict(hint)
    return {c.city: next(s for s in shards if solver.value(goes[c.city, s])) for c in cities}
