"""Published figures for MDRPLib: Reyes, Erera, Savelsbergh, Sahasrabudhe, O'Neil, "The Meal Delivery Routing
Problem", 2018. Table 4 compares their rolling horizon with the clairvoyant optimum on 16 instances of seed 0; the
aggregates are of their default algorithm over all 240 (Table 17), and of the hard instances of Table 9. Tables 5-8 pool
all their variants of the algorithm by property of the instance.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """Mean click-to-door and ready-to-pickup in minutes: rolling horizon, and the optimum that knows the future."""

    click_to_door: float
    ready_to_pickup: float
    best_click_to_door: float
    best_ready_to_pickup: float


TABLE_4: dict[str, Published] = {
    "0o50t100s1p100": Published(31.19, 2.52, 29.81, 1.46),
    "0o50t100s1p125": Published(34.67, 2.27, 33.40, 1.23),
    "0o50t100s2p100": Published(29.79, 1.22, 28.96, 0.64),
    "0o50t100s2p125": Published(34.18, 1.85, 32.60, 0.53),
    "0o50t75s1p100": Published(28.40, 1.65, 27.49, 0.96),
    "0o50t75s1p125": Published(31.62, 1.19, 31.10, 0.78),
    "0o50t75s2p100": Published(27.29, 0.58, 26.83, 0.30),
    "0o50t75s2p125": Published(31.19, 0.70, 30.52, 0.24),
    "0r50t100s1p100": Published(32.46, 2.14, 30.76, 1.13),
    "0r50t100s1p125": Published(36.75, 2.16, 34.66, 0.97),
    "0r50t100s2p100": Published(31.21, 1.11, 29.93, 0.43),
    "0r50t100s2p125": Published(35.60, 1.22, 33.86, 0.26),
    "0r50t75s1p100": Published(29.57, 1.04, 28.47, 0.67),
    "0r50t75s1p125": Published(33.71, 1.19, 32.45, 0.55),
    "0r50t75s2p100": Published(29.03, 0.64, 27.95, 0.21),
    "0r50t75s2p125": Published(33.41, 0.84, 32.00, 0.16),
}

ALL = 240
HARD = "1o50t100s1p100"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Published means over a group of instances; `tokens` are what the names of its instances hold (none: all 240)."""

    group: str
    tokens: tuple[str, ...]
    undelivered_pct: float
    click_to_door: float
    ready_to_pickup: float
    cost_per_order: float
    orders_per_bundle: float


AGGREGATES: tuple[Aggregate, ...] = (
    Aggregate("all, default algorithm", (), 0.25, 32.74, 1.93, 11.42, 1.09),
    Aggregate("s1, their variants pooled", ("s1",), 0.42, 33.70, 2.79, 11.58, 1.11),
    Aggregate("s2, their variants pooled", ("s2",), 0.16, 32.38, 1.64, 11.22, 1.08),
    Aggregate("t100, their variants pooled", ("t100",), 0.36, 34.79, 2.95, 11.34, 1.11),
    Aggregate("t75, their variants pooled", ("t75",), 0.22, 31.29, 1.48, 11.47, 1.08),
    Aggregate("p100, their variants pooled", ("p100",), 0.20, 31.10, 2.21, 11.41, 1.09),
    Aggregate("p125, their variants pooled", ("p125",), 0.38, 34.98, 2.22, 11.39, 1.10),
    Aggregate("o100, their variants pooled", ("o100",), 0.20, 32.55, 1.68, 11.50, 1.10),
    Aggregate("o50, their variants pooled", ("o50",), 0.38, 33.29, 2.61, 11.28, 1.06),
    Aggregate("r50, their variants pooled", ("r50",), 0.28, 33.27, 2.36, 11.42, 1.12),
    Aggregate("1o50t100s1p100 (hard)", ("1o50t100s1p100",), 3.35, 38.24, 8.44, 10.28, 1.17),
    Aggregate("1o50t100s1p125 (hard)", ("1o50t100s1p125",), 4.09, 41.89, 8.51, 10.20, 1.16),
    Aggregate("1o50t100s2p100", ("1o50t100s2p100",), 0.0, 31.54, 3.38, 10.27, 1.05),
    Aggregate("1o50t100s2p125", ("1o50t100s2p125",), 0.0, 35.57, 3.73, 10.18, 1.03),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A target of at most `target`; `peer` is the published figure of the same name over the same instances."""

    target: float
    unit: str
    peer: float | None


TARGETS: dict[str, dict[str, Target]] = {
    "table 4": {
        "click_to_door_mean_min": Target(30.90, "min", 31.88),
        "undelivered_pct": Target(0.0, "%", 0.0),
    },
    "all": {
        "click_to_door_mean_min": Target(31.9, "min", 32.74),
        "ready_to_pickup_mean_min": Target(1.5, "min", 1.93),
        "undelivered_pct": Target(0.10, "%", 0.25),
        "wall_s": Target(1800.0, "s", None),
    },
    HARD: {
        "click_to_door_mean_min": Target(38.0, "min", 38.24),
        "undelivered_pct": Target(2.0, "%", 3.35),
    },
}
"""Targets by group of instances; a group counts only if all of its instances are in the folder."""
