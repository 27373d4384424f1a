"""Why an offer was made: its costs term by term, and who else could have come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.matching.pairs import Pairs
from dispatch.matching.problem import Problem
from dispatch.model import OfferId, OrderId, RiderId

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
    `cost`; `candidates` counts the riders who could have taken the first order; `borrowed_from` is the neighbour whose
    rider it is."""

    offer_id: OfferId
    rider_id: RiderId
    order_ids: tuple[OrderId, ...]
    cost: float
    terms: tuple[tuple[str, float], ...]
    candidates: int
    alternatives: tuple[tuple[OrderId, tuple[Alternative, ...]], ...]
    borrowed_from: str = ""


def alternatives(
    problem: Problem, pairs: Pairs, order: int, rider: int, given: dict[int, tuple[int, ...]]
) -> tuple[int, tuple[Alternative, ...]]:
    """How many riders could have taken the order, and the cheapest others."""
    low, high = np.searchsorted(pairs.order, [order, order + 1]).tolist()
    riders, cost = pairs.rider[low:high], pairs.cost[low:high]
    # The chosen rider may be among the nearest, so one more is looked at.
    rank = np.lexsort((riders, cost))[: ALTERNATIVES + 1].tolist()
    ids = problem.orders.ids
    return high - low, tuple(
        Alternative(
            problem.riders.ids[riders[i]],
            round(float(cost[i]), 3),
            tuple(ids[o] for o in given.get(int(riders[i]), ())),
        )
        for i in [i for i in rank if riders[i] != rider][:ALTERNATIVES]
    )
