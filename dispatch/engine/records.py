"""Record the reasons of an offer: its cost terms, the other candidates, and why others were none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dispatch.engine.matching.cost import TERMS, Routes, weights
from dispatch.engine.matching.pairs import Pairs, feasible_pairs
from dispatch.engine.matching.problem import Problem
from dispatch.engine.matching.rules import broken
from dispatch.engine.matching.timing import TimedTrip
from dispatch.engine.model import OfferId, OrderId, RiderId
from dispatch.engine.params import EngineParams

ALTERNATIVES = 5

NamedTerms = tuple[tuple[str, float], ...]
"""Weighted cost terms by the names of `matching.cost.TERMS`."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A rider who could have taken the order alone: cost of that trip, and where the rider went instead.

    `instead` holds the orders the rider is meant to take, empty if it stays idle. `terms` sum up to `cost`.
    """

    rider_id: RiderId
    cost: float
    instead: tuple[OrderId, ...]
    terms: NamedTerms = ()


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """An offer explained. `terms` are weighted, named by `matching.cost.TERMS`, and sum up to
    `cost`; `candidates` counts the riders who could have taken the first order. `not_eligible` counts, by the first
    rule that each breaks, the riders near the restaurant who could not: those of `matching.rules.RULES`, and
    `shift`."""

    offer_id: OfferId
    rider_id: RiderId
    order_ids: tuple[OrderId, ...]
    cost: float
    terms: NamedTerms
    candidates: int
    alternatives: tuple[tuple[OrderId, tuple[Alternative, ...]], ...]
    not_eligible: tuple[tuple[str, int], ...] = ()
    #: The neighbour whose rider it is; empty for the city's own.
    borrowed_from: str = ""


class Recorder:
    """Records of one tick's offers. What the others would have cost is worked out for the orders of due trips only."""

    def __init__(self, problem: Problem, params: EngineParams, trips: Sequence[TimedTrip], busy_price: float) -> None:
        """`busy_price` is that of the solution: costs are told as the solver had them."""
        self._problem, self._weights = problem, weights(params.cost, busy_price)
        told_of = np.array(sorted({order for trip in trips for order in trip.assigned.orders}), np.int64)
        self._pairs = feasible_pairs(problem, params, told_of, busy_price) if len(told_of) else None

    def record(
        self, offer_id: OfferId, rider_id: RiderId, trip: TimedTrip, given: dict[int, tuple[int, ...]]
    ) -> DecisionRecord:
        """The record of a trip; `given` are the orders that each rider row is meant to take."""
        pairs, assigned = self._pairs, trip.assigned
        assert pairs is not None
        others = [self._alternatives(pairs, order, assigned.rider, given) for order in assigned.orders]
        ids = tuple(self._problem.orders.ids[order] for order in assigned.orders)
        terms = self._named(trip.terms)
        return DecisionRecord(
            offer_id=offer_id,
            rider_id=rider_id,
            order_ids=ids,
            cost=round(sum(term * weight for term, weight in zip(trip.terms, self._weights, strict=True)), 3),
            terms=terms,
            candidates=others[0][0],
            alternatives=tuple((order_id, found) for order_id, (_, found) in zip(ids, others, strict=True)),
            not_eligible=self._not_eligible(pairs, assigned.orders[0]),
        )

    def _named(self, terms: Sequence[float]) -> NamedTerms:
        rows = zip(TERMS, terms, self._weights, strict=True)
        return tuple((name, round(float(term) * weight, 3)) for name, term, weight in rows)

    def _alternatives(
        self, pairs: Pairs, order: int, rider: int, given: dict[int, tuple[int, ...]]
    ) -> tuple[int, tuple[Alternative, ...]]:
        """Number of riders that could have taken the order, and the cheapest others."""
        low, high = np.searchsorted(pairs.order, [order, order + 1]).tolist()
        riders, cost = pairs.rider[low:high], pairs.cost[low:high]
        # The chosen rider may be among the nearest, so one more is looked at.
        rank = np.lexsort((riders, cost))[: ALTERNATIVES + 1].tolist()
        ids, rider_ids = self._problem.orders.ids, self._problem.riders.ids
        return high - low, tuple(
            Alternative(
                rider_ids[riders[i]],
                round(float(cost[i]), 3),
                tuple(ids[o] for o in given.get(int(riders[i]), ())),
                self._named([float(term[low + i]) for term in pairs.terms]),
            )
            for i in [i for i in rank if riders[i] != rider][:ALTERNATIVES]
        )

    def _not_eligible(self, pairs: Pairs, order: int) -> tuple[tuple[str, int], ...]:
        """Riders near the order's restaurant who could not have taken it, by the first rule that stood in the way."""
        problem = self._problem
        near = problem.edges.rider[problem.edges.restaurant == problem.orders.restaurant[order]]
        could = np.isin(near, pairs.rider[pairs.order == order])
        rider = near[~could]
        routes = Routes(np.full((len(rider), 1), order), np.zeros((len(rider), 1)))
        left, counts = np.ones(len(rider), np.bool_), []
        for name, breaks in broken(problem, rider, routes):
            counts.append((name, int((left & breaks).sum())))
            left &= ~breaks
        counts.append(("shift", int(left.sum())))
        return tuple((name, count) for name, count in counts if count)
