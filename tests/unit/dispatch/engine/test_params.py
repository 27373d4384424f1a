"""Every parameter is checked on construction."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import pytest

from dispatch.engine.params import (
    AcceptanceParams,
    BundleParams,
    CandidateParams,
    CostParams,
    EngineParams,
    EtaParams,
    OfferParams,
    PaceParams,
    PrepositioningParams,
    ReachParams,
    ServiceParams,
    SolverParams,
)
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.planar import PlanarTravel
from dispatch.errors import InvalidParams

BAD: list[tuple[str, Callable[[], object]]] = [
    ("ServiceParams.pickup_s", lambda: ServiceParams(pickup_s=-1)),
    ("ServiceParams.dropoff_s", lambda: ServiceParams(dropoff_s=nan)),
    ("OfferParams.timeout_s", lambda: OfferParams(timeout_s=601)),
    ("OfferParams.lead_s", lambda: OfferParams(lead_s=-0.1)),
    ("OfferParams.cooldown_s", lambda: OfferParams(cooldown_s=-1)),
    ("OfferParams.forget_s", lambda: OfferParams(forget_s=0)),
    ("CandidateParams.per_restaurant", lambda: CandidateParams(per_restaurant=0)),
    ("CandidateParams.max_age_s", lambda: CandidateParams(max_age_s=0)),
    ("CandidateParams.horizon_s", lambda: CandidateParams(horizon_s=-1)),
    ("CandidateParams.max_approach_s", lambda: CandidateParams(max_approach_s=0)),
    ("CostParams.late", lambda: CostParams(late=-1)),
    ("CostParams.churn_s", lambda: CostParams(churn_s=1e9)),
    ("PaceParams.bicycle", lambda: PaceParams(bicycle=0)),
    ("EtaParams.travel_cv", lambda: EtaParams(travel_cv=-1)),
    ("BundleParams.max_orders", lambda: BundleParams(max_orders=0)),
    ("BundleParams.ready_spread_s", lambda: BundleParams(ready_spread_s=-1)),
    ("BundleParams.between_m", lambda: BundleParams(between_m=-1)),
    ("BundleParams.max_stops", lambda: BundleParams(max_stops=1)),
    ("AcceptanceParams.refusal", lambda: AcceptanceParams(refusal=1.1)),
    ("AcceptanceParams.trust", lambda: AcceptanceParams(trust=0)),
    ("ReachParams.bicycle", lambda: ReachParams(bicycle=0)),
    ("PrepositioningParams.worth_s", lambda: PrepositioningParams(worth_s=0)),
    ("EngineParams.default_capacity", lambda: EngineParams(default_capacity=0)),
    ("SolverParams.work_limit", lambda: SolverParams(work_limit=0)),
    ("SolverParams.strategy", lambda: SolverParams(strategy="")),
    ("SolverParams.strategy", lambda: SolverParams(strategy="magic")),
    ("metres_per_minute", lambda: PlanarTravel(0)),
    ("speed_mps", lambda: FreeFlowTravel(speed_mps=0)),
    ("detour", lambda: FreeFlowTravel(detour=0.9)),
]


@pytest.mark.parametrize(("name", "make"), BAD, ids=[f"{i}-{b[0]}" for i, b in enumerate(BAD)])
def test_bad_values_are_refused_by_name(name: str, make: Callable[[], object]) -> None:
    """The error names class and field."""
    with pytest.raises(InvalidParams, match=name.replace(".", r"\.")):
        make()


def test_defaults_are_valid() -> None:
    """The defaults pass their own checks."""
    assert EngineParams().version == "default-1"
