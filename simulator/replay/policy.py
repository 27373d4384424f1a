"""The one set of engine parameters for MDRPLib instances, tuned on seeds 1-3."""

from __future__ import annotations

from dispatch.engine.params import (
    BundleParams,
    CandidateParams,
    CostParams,
    EngineParams,
    OfferParams,
    PatienceParams,
    ServiceParams,
    SolverParams,
)
from simulator.replay.instance import Rules


def mdrp_params(rules: Rules, strategy: str = "packing") -> EngineParams:
    """Whole-minute rules: couriers accept at once, and commit when they must leave, not a moment before."""
    return EngineParams(
        version="mdrp-2",
        rebundle=True,
        service=ServiceParams(rules.pickup_service * 60.0, rules.dropoff_service * 60.0),
        offers=OfferParams(timeout_s=60.0, lead_s=0.0, cooldown_s=0.0),
        # Couriers on their way show no position, and an instance's day has an end of its own.
        patience=PatienceParams(vanished_s=1e9, lost_s=1e9, nobody_s=1e9),
        candidates=CandidateParams(
            per_restaurant=1000, per_bundle=16, max_age_s=1e9, horizon_s=5400.0, max_approach_s=86400.0
        ),
        # Couriers never decline, ways are exact, and a bundle is of one restaurant and of any size.
        bundles=BundleParams(between_m=0.0, max_stops=1000),
        cost=CostParams(
            late=0.3,
            waiting=0.4,
            # Among couriers who come in time, one who must leave at once: from far, or just free. Those who are near
            # and have time stay for orders that will have none.
            approach=0.0,
            idle=0.05,
            churn_s=0.0,
            refusal_s=0.0,
            spread=0.0,
            cycle_s=1900.0,
            orders_per_wave=5.0,
            put_off_s=600.0,
            relaxed=0.7,
            pressure=0.5,
            # The day ends: what no wave has room for is lost, and that bounds the price already.
            most_pressure=10_000.0,
        ),
        solver=SolverParams(strategy=strategy),
    )
