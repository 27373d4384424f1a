"""Parameters of a city's engine: frozen, range-checked, stored with every tick.

All durations are seconds of the domain clock. Weights turn one second of their term into cost; the
cost of serving an order sooner by one second is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import isfinite

from dispatch.engine.model import Vehicle
from dispatch.errors import InvalidParams

STRATEGY_NAMES = ("assignment", "greedy", "packing")


def _check(owner: object, **ranges: tuple[float, float]) -> None:
    """Raise InvalidParams naming class and field for every value out of its closed range."""
    for name, (low, high) in ranges.items():
        value = getattr(owner, name)
        if isinstance(value, bool) or not isfinite(value) or not low <= value <= high:
            raise InvalidParams(f"{type(owner).__name__}.{name} must be within {low}..{high}, got {value}")


@dataclass(frozen=True, slots=True)
class ServiceParams:
    """Time at the door. Half of each lies before the handover, half after it (Reyes et al. 2018)."""

    pickup_s: float = 120.0
    dropoff_s: float = 120.0

    def __post_init__(self) -> None:
        _check(self, pickup_s=(0, 3600), dropoff_s=(0, 3600))


@dataclass(frozen=True, slots=True)
class OfferParams:
    """Parameters of offers.

    `lead_s` is how long before a rider must start moving the offer is made: time to answer, and at
    least one tick. `forget_s` is how long the ids of ended orders are remembered.
    """

    timeout_s: float = 30.0
    lead_s: float = 30.0
    cooldown_s: float = 300.0
    forget_s: float = 7200.0

    def __post_init__(self) -> None:
        _check(self, timeout_s=(0, 600), lead_s=(0, 900), cooldown_s=(0, 86400), forget_s=(60, 604800))


@dataclass(frozen=True, slots=True)
class PatienceParams:
    """Limits of waiting: a rider with something to do and without a usable fix for `vanished_s` loses what it has
    not picked up, for `lost_s` the food on board is written off; an order that nobody has `nobody_s` after its food was
    ready has failed.
    """

    vanished_s: float = 300.0
    lost_s: float = 3600.0
    nobody_s: float = 5400.0

    def __post_init__(self) -> None:
        _check(self, vanished_s=(60, 10**9), lost_s=(60, 10**9), nobody_s=(60, 10**9))


@dataclass(frozen=True, slots=True)
class CandidateParams:
    """Limits on the riders considered for an order.

    The `per_restaurant` nearest riders, and of those the `per_bundle` soonest there for bundles; riders whose last
    fix is older than `max_age_s` are not; busy ones only if they are free within `horizon_s`, and not once they have
    been without a usable fix for `max_age_s`; none further than `max_approach_s` away.
    """

    per_restaurant: int = 30
    per_bundle: int = 10
    max_age_s: float = 60.0
    horizon_s: float = 3600.0
    max_approach_s: float = 3600.0

    def __post_init__(self) -> None:
        _check(
            self,
            per_restaurant=(1, 10_000),
            per_bundle=(1, 10_000),
            max_age_s=(1, 10**9),
            horizon_s=(0, 86400),
            max_approach_s=(1, 86400),
        )


@dataclass(frozen=True, slots=True)
class CostParams:
    """Weights of the cost terms; see `dispatch.engine.matching.cost` for what each term measures.

    `churn_s` is the price of taking an order from the rider who has accepted it. Orders put off (see
    `matching.waves`): a rider starts its next trip `cycle_s` later and takes `orders_per_wave` orders then;
    putting off costs `put_off_s` beside the delay. With more than `relaxed` orders to match per rider, each further
    one adds `pressure` to the price of a rider's second.
    """

    late: float = 0.5
    waiting: float = 0.5
    approach: float = 0.2
    busy: float = 0.0
    idle: float = 0.0
    age: float = 0.5
    refusal_s: float = 60.0
    spread: float = 0.1
    churn_s: float = 120.0
    pressure: float = 1.0
    relaxed: float = 1.0
    most_pressure: float = 2.0
    cycle_s: float = 1900.0
    orders_per_wave: float = 5.0
    put_off_s: float = 600.0

    def __post_init__(self) -> None:
        _check(self, **{f.name: (0.0, 10_000.0) for f in fields(self)})


@dataclass(frozen=True, slots=True)
class AcceptanceParams:
    """Prior of a rider's next answer: `refusal` before it has been asked, as if it had been asked `trust`
    times with that outcome."""

    refusal: float = 0.1
    trust: float = 10.0

    def __post_init__(self) -> None:
        _check(self, refusal=(0, 1), trust=(0.1, 10_000))


@dataclass(frozen=True, slots=True)
class ReachParams:
    """The longest way from a counter to a door that a vehicle is asked to ride, at its own pace."""

    bicycle: float = 2400.0
    motorbike: float = 86400.0
    car: float = 86400.0

    def __post_init__(self) -> None:
        _check(self, bicycle=(1, 86400), motorbike=(1, 86400), car=(1, 86400))

    def of(self, vehicle: Vehicle) -> float:
        """The reach of a vehicle, in seconds."""
        return {Vehicle.BICYCLE: self.bicycle, Vehicle.MOTORBIKE: self.motorbike, Vehicle.CAR: self.car}[vehicle]


@dataclass(frozen=True, slots=True)
class PaceParams:
    """Travel seconds of each vehicle over those of the travel model."""

    bicycle: float = 1.4
    motorbike: float = 1.0
    car: float = 1.0

    def __post_init__(self) -> None:
        _check(self, bicycle=(0.1, 10), motorbike=(0.1, 10), car=(0.1, 10))

    def of(self, vehicle: Vehicle) -> float:
        """The pace of a vehicle."""
        return {Vehicle.BICYCLE: self.bicycle, Vehicle.MOTORBIKE: self.motorbike, Vehicle.CAR: self.car}[vehicle]


@dataclass(frozen=True, slots=True)
class EtaParams:
    """Spread of ETAs before deliveries have taught it (`dispatch.engine.eta.calibration`): standard deviations.

    Of ways as a share of their length; of kitchens `kitchen_s` and a share `kitchen_cv` of what is left to cook; of
    each stop `door_s`; of the way of the rider who will come for an order that nobody has yet, half of `approach_s`.
    With nobody in sight a rider comes in `nobody_s`. A plan is put into another order when that is worth `resequence_s`
    seconds of its customers' time; 0: never.
    """

    travel_cv: float = 0.15
    kitchen_s: float = 20.0
    kitchen_cv: float = 0.15
    door_s: float = 25.0
    approach_s: float = 200.0
    nobody_s: float = 600.0
    resequence_s: float = 60.0

    def __post_init__(self) -> None:
        _check(
            self,
            travel_cv=(0, 5),
            kitchen_s=(0, 7200),
            kitchen_cv=(0, 5),
            door_s=(0, 3600),
            approach_s=(0, 7200),
            nobody_s=(0, 86400),
            resequence_s=(0, 86400),
        )


@dataclass(frozen=True, slots=True)
class BundleParams:
    """Orders that may share a trip: of one restaurant, or of two whose counters are at most `between_m` apart (0:
    of one only). `max_stops` bounds a rider's plan, counters and doors together."""

    max_orders: int = 3
    ready_spread_s: float = 600.0
    between_m: float = 500.0
    max_stops: int = 8

    def __post_init__(self) -> None:
        _check(self, max_orders=(1, 10), ready_spread_s=(0, 7200), between_m=(0, 10_000), max_stops=(2, 1000))


@dataclass(frozen=True, slots=True)
class LoanParams:
    """Riders borrowed from a neighbour: sent home after `idle_s` without work; no pickup is offered to them later than
    `max_s` after the loan was asked for."""

    idle_s: float = 60.0
    max_s: float = 1800.0

    def __post_init__(self) -> None:
        _check(self, idle_s=(0, 3600), max_s=(60, 86400))


@dataclass(frozen=True, slots=True)
class PrepositioningParams:
    """Whether idle riders are sent to wait where orders are expected within `ahead_s`, of the orders of about the last
    `memory_s`. A rider at the counter is worth `worth_s` for an order; none is sent for less than `least_gain_s`, or
    further than `max_way_s`, or twice within `every_s`."""

    on: bool = False
    ahead_s: float = 900.0
    memory_s: float = 3600.0
    worth_s: float = 1200.0
    least_gain_s: float = 60.0
    max_way_s: float = 900.0
    every_s: float = 300.0

    def __post_init__(self) -> None:
        names = ("ahead_s", "memory_s", "worth_s", "least_gain_s", "max_way_s", "every_s")
        _check(self, **dict.fromkeys(names, (1.0, 86_400.0)))


@dataclass(frozen=True, slots=True)
class SolverParams:
    """The strategy by name (a key of `dispatch.engine.matching.solve.STRATEGIES`).

    `work_limit` bounds CP-SAT, in millionths of its deterministic time (about a microsecond each).
    """

    strategy: str = "packing"
    work_limit: int = 100_000
    seed: int = 1

    def __post_init__(self) -> None:
        _check(self, work_limit=(1, 10**12), seed=(0, 2**31 - 1))
        if self.strategy not in STRATEGY_NAMES:
            raise InvalidParams(f"SolverParams.strategy must be one of {STRATEGY_NAMES}, got {self.strategy!r}")


@dataclass(frozen=True, slots=True)
class EngineParams:
    """Parameters of the engine. `version` names the set in the tick's record.

    With `rebundle` an order accepted but not picked up may still go to another rider, at the price of
    `cost.churn_s`; without, accepted orders stay where they are. `default_capacity` is how many orders a rider carries
    whose app did not say.
    """

    version: str = "default-1"
    rebundle: bool = False
    default_capacity: int = 3
    service: ServiceParams = field(default_factory=ServiceParams)
    offers: OfferParams = field(default_factory=OfferParams)
    patience: PatienceParams = field(default_factory=PatienceParams)
    candidates: CandidateParams = field(default_factory=CandidateParams)
    acceptance: AcceptanceParams = field(default_factory=AcceptanceParams)
    pace: PaceParams = field(default_factory=PaceParams)
    reach: ReachParams = field(default_factory=ReachParams)
    cost: CostParams = field(default_factory=CostParams)
    eta: EtaParams = field(default_factory=EtaParams)
    bundles: BundleParams = field(default_factory=BundleParams)
    loans: LoanParams = field(default_factory=LoanParams)
    prepositioning: PrepositioningParams = field(default_factory=PrepositioningParams)
    solver: SolverParams = field(default_factory=SolverParams)

    def __post_init__(self) -> None:
        _check(self, default_capacity=(1, 20))
