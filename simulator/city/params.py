"""Parameters of a city's behaviour: frozen and range-checked. Durations are seconds of the domain clock."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

Range = tuple[float, float]


class BadParams(ValueError):
    """A parameter is out of its range; the message names class and field."""


def _check(owner: object, **ranges: Range) -> None:
    for name, (low, high) in ranges.items():
        value = getattr(owner, name)
        ends = value if isinstance(value, tuple) else (value, value)
        if not all(isfinite(end) for end in ends) or not low <= ends[0] <= ends[1] <= high:
            raise BadParams(f"{type(owner).__name__}.{name} must be within {low}..{high} and ordered, got {value}")


@dataclass(frozen=True, slots=True)
class RiderParams:
    """Behaviour of riders.

    Half of a service time lies before the handover, half after it (Reyes et al. 2018); each half is multiplied by a
    log-normal factor with deviation `service_surprise`. A rider who idles for `rest_s` drifts towards a busy restaurant
    with chance `drift`. The signal is lost `losses_per_hour` times an hour on average, for `loss_s`. An accepted order
    that no route confirms within `confirm_s` is forgotten.
    """

    fix_every_s: float = 15.0
    answer_s: Range = (2.0, 8.0)
    decline: float = 0.05
    pickup_s: float = 120.0
    dropoff_s: float = 120.0
    service_surprise: float = 0.0
    rest_s: Range = (120.0, 600.0)
    drift: float = 0.35
    losses_per_hour: float = 0.5
    loss_s: Range = (20.0, 90.0)
    accuracy_m: Range = (3.0, 12.0)
    confirm_s: float = 150.0

    def __post_init__(self) -> None:
        _check(
            self,
            fix_every_s=(0.1, 600),
            answer_s=(0, 600),
            decline=(0, 1),
            pickup_s=(0, 3600),
            dropoff_s=(0, 3600),
            service_surprise=(0, 2),
            rest_s=(1, 86400),
            drift=(0, 1),
            losses_per_hour=(0, 60),
            loss_s=(1, 3600),
            accuracy_m=(0, 1000),
            confirm_s=(1, 3600),
        )


@dataclass(frozen=True, slots=True)
class KitchenParams:
    """Cooking of kitchens: `cook_s` is the spread of an order's own time, `ovens` how many at once.

    The real time is what the kitchen says times a log-normal factor with deviation `surprise`. After the share
    `looks_again` of the said time the kitchen says anew when the food will be ready, three times as surely; with 1 it
    never does.
    """

    cook_s: Range = (180.0, 420.0)
    ovens: int = 6
    surprise: float = 0.12
    looks_again: float = 1.0

    def __post_init__(self) -> None:
        _check(self, cook_s=(0, 7200), ovens=(1, 1000), surprise=(0, 2), looks_again=(0, 1))


@dataclass(frozen=True, slots=True)
class CustomerParams:
    """Places of customers: drop-offs become rarer with distance as exp(-d / `near_m`), none beyond `reach_m`.

    `orders_per_hour` is the rate at the peak of the day. A share `decline` of the payments is declined by the bank.
    """

    orders_per_hour: float = 100.0
    near_m: float = 900.0
    reach_m: float = 3000.0
    users: int = 400
    decline: float = 0.0

    def __post_init__(self) -> None:
        _check(
            self,
            orders_per_hour=(0, 1_000_000),
            near_m=(1, 100_000),
            reach_m=(1, 100_000),
            users=(1, 10_000_000),
            decline=(0, 1),
        )


@dataclass(frozen=True, slots=True)
class TrafficParams:
    """Causes that make ways longer than free flow (see `simulator.city.traffic`).

    `jam` is how much the worst hour adds in the centre, fading over `centre_m` to 40 % of it; cells differ from that by
    log-normal factors with deviation `unlike`, trips by `luck`. A day has `rains` spells of `rain_h` hours that make
    every way `rain_slow` times as long, and `closures` of cells, `closed_h` hours each, slow by `closed_slow`.
    """

    jam: float = 0.7
    centre_m: float = 2500.0
    unlike: float = 0.25
    luck: float = 0.08
    rains: tuple[int, int] = (0, 0)
    rain_h: Range = (0.7, 2.5)
    rain_slow: Range = (1.15, 1.45)
    closures: tuple[int, int] = (0, 0)
    closed_h: Range = (1.0, 5.0)
    closed_slow: float = 2.5

    def __post_init__(self) -> None:
        _check(
            self,
            jam=(0, 10),
            centre_m=(1, 100_000),
            unlike=(0, 2),
            luck=(0, 2),
            rains=(0, 100),
            rain_h=(0, 48),
            rain_slow=(1, 10),
            closures=(0, 1000),
            closed_h=(0, 48),
            closed_slow=(1, 100),
        )
