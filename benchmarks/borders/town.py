"""A seeded day of a town in MDRPLib's terms: kitchens in two quarters, lunch and dinner, couriers where work is not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.replay.instance import Courier, Instance, InstanceOrder, Rules, Xy

SIDE_M = 9_000
RULES = Rules(
    metres_per_minute=320,
    pickup_service=4,
    dropoff_service=4,
    target_click_to_door=40,
    maximum_click_to_door=90,
    pay_per_order=10,
    guaranteed_pay_per_hour=15,
)


def town(seed: int, orders: int = 150, minutes: int = 660) -> Instance:
    """A town of so many orders, and a courier for every five of them. Of the couriers 75% live in the south-west."""
    rng = np.random.default_rng(seed)
    quarters = np.array([(0.36, 0.44), (0.64, 0.56)]) * SIDE_M

    def near(centre: NDArray[np.float64], spread_m: float) -> Xy:
        x, y = np.clip(rng.normal(centre, spread_m), 0, SIDE_M).tolist()
        return round(x), round(y)

    restaurants = {f"r{i}": near(quarters[i % 2], 1_300) for i in range(max(2, orders // 8))}
    names = list(restaurants)
    couriers = max(2, orders // 5)
    lunch, dinner = 0.23 * minutes, 0.73 * minutes
    peaks = rng.permutation(np.repeat([lunch, dinner], [orders // 3, orders - orders // 3]))
    placed = np.sort(np.clip(np.rint(rng.normal(peaks, minutes / 12)), 0, minutes)).astype(int).tolist()
    ready = rng.integers(8, 26, orders).tolist()
    counters = rng.integers(0, len(names), orders).tolist()
    return Instance(
        name=f"town-{seed}",
        orders=tuple(
            InstanceOrder(f"o{i}", near(np.array(restaurants[names[at]]), 1_700), t, names[at], t + cooking)
            for i, (t, at, cooking) in enumerate(zip(placed, counters, ready, strict=True))
        ),
        couriers=tuple(
            Courier(
                f"c{i}",
                near(quarters[int(rng.random() > 0.75)], 1_500),
                on,
                on + int(rng.integers(minutes // 2, minutes)),
            )
            for i, on in enumerate(np.sort(rng.integers(0, 3 * minutes // 5, couriers)).tolist())
        ),
        restaurants=restaurants,
        rules=RULES,
    )
