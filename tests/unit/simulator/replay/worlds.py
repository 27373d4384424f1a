"""Small MDRP instances, as values and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulator.replay.history import Commitment, Drop, History, Leg, Pickup
from simulator.replay.instance import Courier, Instance, InstanceOrder, Rules

RULES = Rules(
    metres_per_minute=300,
    pickup_service=4,
    dropoff_service=4,
    target_click_to_door=40,
    maximum_click_to_door=90,
    pay_per_order=10,
    guaranteed_pay_per_hour=15,
)


def one_courier_two_orders() -> Instance:
    """A courier 2 minutes from a restaurant; doors at 3 and at 3 + 2 minutes; both ready at 10."""
    return Instance(
        name="tiny",
        orders=(InstanceOrder("o1", (900, 0), 0, "r1", 10), InstanceOrder("o2", (1500, 0), 1, "r1", 10)),
        couriers=(Courier("c1", (-600, 0), 0, 60),),
        restaurants={"r1": (0, 0)},
        rules=RULES,
    )


def its_history() -> History:
    """A right answer, by hand: bound at 6, at the counter at 8, picked up at 10, dropped at 17 and 23."""
    return History(
        commitments=[Commitment(6, "c1", ("o1", "o2"))],
        pickups=[Pickup(10, "c1", ("o1", "o2"))],
        drops=[Drop(17, "c1", "o1"), Drop(23, "c1", "o2")],
        moves=[Leg(6, "c1", "c1", "r1"), Leg(12, "c1", "r1", "o1"), Leg(19, "c1", "o1", "o2")],
    )


def random_instance(seed: int, orders: int = 40, couriers: int = 6, restaurants: int = 5) -> Instance:
    """A busy afternoon: 200 minutes of orders, shifts that end before all of them are ready."""
    rng = np.random.default_rng(seed)

    def somewhere() -> tuple[int, int]:
        x, y = rng.integers(0, 4000, 2)
        return int(x), int(y)

    counters = {f"r{i}": somewhere() for i in range(restaurants)}
    placed = sorted(int(t) for t in rng.integers(0, 200, orders))
    return Instance(
        name=f"random-{seed}",
        orders=tuple(
            InstanceOrder(f"o{i}", somewhere(), t, f"r{int(rng.integers(restaurants))}", t + int(rng.integers(1, 30)))
            for i, t in enumerate(placed)
        ),
        couriers=tuple(
            Courier(f"c{i}", somewhere(), int(rng.integers(0, 60)), int(rng.integers(120, 260)))
            for i in range(couriers)
        ),
        restaurants=counters,
        rules=RULES,
    )


def write_instance(folder: Path, instance: Instance) -> Path:
    """The instance as MDRPLib's four files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = instance.rules
    tables: dict[str, tuple[str, list[tuple[object, ...]]]] = {
        "orders.txt": (
            "order\tx\ty\tplacement_time\trestaurant\tready_time",
            [(o.name, *o.xy, o.placed, o.restaurant, o.ready) for o in instance.orders],
        ),
        "couriers.txt": (
            "courier\tx\ty\ton_time\toff_time",
            [(c.name, *c.xy, c.on, c.off) for c in instance.couriers],
        ),
        "restaurants.txt": ("restaurant\tx\ty", [(name, *xy) for name, xy in instance.restaurants.items()]),
        "instance_parameters.txt": (
            "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\t"
            "maximum click-to-door\tpay per order\tguaranteed pay per hour",
            [
                (
                    rules.metres_per_minute,
                    rules.pickup_service,
                    rules.dropoff_service,
                    rules.target_click_to_door,
                    rules.maximum_click_to_door,
                    rules.pay_per_order,
                    rules.guaranteed_pay_per_hour,
                )
            ],
        ),
    }
    for name, (header, rows) in tables.items():
        lines = [header, *("\t".join(map(str, row)) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
