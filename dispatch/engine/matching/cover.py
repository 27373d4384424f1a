"""The packing itself, by CP-SAT: exact, one thread, bounded by deterministic time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ortools.sat.python import cp_model

from dispatch.engine.matching.packing_columns import SetPackingColumns
from dispatch.engine.matching.problem import Ints, Problem
from dispatch.engine.matching.waves import Waves
from dispatch.engine.params import SolverParams


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Chosen positions among the open columns; `work` is CP-SAT's deterministic time in its millionths."""

    chosen: Ints
    status: str
    work: int
    cost: float


def cover(
    problem: Problem,
    columns: SetPackingColumns,
    open_columns: Ints,
    later: Waves,
    hint: NDArray[np.bool_],
    solver: SolverParams,
) -> Cover | None:
    """Choose among open columns and waves, at the least cost, for every order that any of them holds.

    `hint` marks those of a known good answer. None if the work limit came before any answer. Costs are
    rounded to whole seconds.
    """
    rider, orders = columns.rider[open_columns], columns.orders[open_columns]
    rows = np.unique(orders[orders >= 0])
    model = cp_model.CpModel()
    trips = [model.new_bool_var("") for _ in range(len(rider))]
    # Later waves cost more: nobody waits for the second while the first has room for all.
    waves, n = (1 if later.room[0] >= len(rows) else len(later.room)), len(problem.orders.ids)
    put_off = {(k, o): model.new_bool_var("") for k in range(waves) for o in rows.tolist()}
    by_order = {o: [put_off[k, o] for k in range(waves)] for o in rows.tolist()}
    by_rider: dict[int, list[cp_model.IntVar]] = {}
    for trip, r, held in zip(trips, rider.tolist(), orders.tolist(), strict=True):
        by_rider.setdefault(r, []).append(trip)
        for o in held:
            if o >= 0:
                by_order[o].append(trip)
    for choices in by_order.values():
        model.add_exactly_one(choices)
    holders = set(problem.orders.holder.tolist())
    for r, choices in by_rider.items():
        if r in holders:
            model.add_exactly_one(choices)
        elif len(choices) > 1:
            model.add_at_most_one(choices)
    for k in range(waves - 1):
        if later.room[k] < n:
            model.add(sum(put_off[k, o] for o in rows.tolist()) <= int(later.room[k]))
    cost = [*columns.cost[open_columns].tolist(), *(later.cost[key] for key in put_off)]
    model.minimize(cp_model.LinearExpr.weighted_sum([*trips, *put_off.values()], [round(c) for c in cost]))
    for trip, hinted in zip(trips, hint.tolist(), strict=True):
        model.add_hint(trip, hinted)
    return _solve(model, trips, solver)


def _solve(model: cp_model.CpModel, trips: list[cp_model.IntVar], solver: SolverParams) -> Cover | None:
    engine = cp_model.CpSolver()
    engine.parameters.num_workers = 1
    engine.parameters.random_seed = solver.seed
    engine.parameters.max_deterministic_time = solver.work_limit / 1e6
    # The LP relaxation of a packing is all but whole: with it in full a tick takes 10 ms, without it seconds.
    engine.parameters.linearization_level = 2
    engine.parameters.symmetry_level = 0
    engine.parameters.cp_model_probing_level = 0
    status = engine.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    chosen = np.array([i for i, trip in enumerate(trips) if engine.boolean_value(trip)], np.int64)
    work = round(engine.response_proto.deterministic_time * 1e6)
    return Cover(chosen, engine.status_name(status).lower(), work, engine.objective_value)
