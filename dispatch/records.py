"""Why an offer was made: its costs term by term, and who else could have come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.matching.cost import TERMS, terms, weights
from dispatch.matching.pairs import Pairs
from dispatch.matching.problem import Floats, Ints, Problem
from dispatch.model import OfferId, OrderId, RiderId
from dispatch.params import EngineParams

ALTERNATIVES = 5


@dataclass(frozen=True, slots=True)
class Alternative:
    """A rider who could have taken the order alone: cost of that trip, and where the rider went instead.

    `instead` holds the orders the rider is meant to take, empty if it stays idle.
    """

    rider_id: RiderId
    cost: float
    instead: tuple[OrderId, ...]


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """An offer explained. `terms` are weighted, named by `dispatch.matching.cost.TERMS`, and sum up to
    `cost`; `candidates` counts the riders who could have taken the first order."""

    offer_id: OfferId
    rider_id: RiderId
    order_ids: tuple[OrderId, ...]
    cost: float
    terms: tuple[tuple[str, float], ...]
    candidates: int
    alternatives: tuple[tuple[OrderId, tuple[Alternative, ...]], ...]


def weighted_terms(
    problem: Problem,
    params: EngineParams,
    rider: int,
    orders: tuple[int, ...],
    approach_s: float,
    ways_s: Floats,
) -> tuple[tuple[str, float], ...]:
    """Named, weighted terms of one trip."""
    columns, _ = terms(
        problem,
        params.service,
        np.array([rider]),
        np.array([approach_s]),
        np.array([orders]),
        ways_s[None, :],
    )
    return tuple(zip(TERMS, (columns[0] * weights(params.cost)).tolist(), strict=True))


def alternatives(
    problem: Problem, pairs: Pairs, order: int, rider: int, given: dict[int, tuple[int, ...]]
) -> tuple[int, tuple[Alternative, ...]]:
    """How many riders could have taken the order, and the cheapest others."""
    low, high = np.searchsorted(pairs.order, [order, order + 1])
    riders: Ints = pairs.rider[low:high]
    cost = pairs.cost[low:high]
    rank = [i for i in np.lexsort((riders, cost)).tolist() if riders[i] != rider]
    ids = problem.orders.ids
    return int(high - low), tuple(
        Alternative(
            problem.riders.ids[riders[i]],
            round(float(cost[i]), 3),
            tuple(ids[o] for o in given.get(int(riders[i]), ())),
        )
        for i in rank[:ALTERNATIVES]
    )
