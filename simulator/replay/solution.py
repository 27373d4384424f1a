"""Writes the three files that the official MDRPLib evaluator reads."""

from __future__ import annotations

from pathlib import Path

from simulator.replay.history import History
from simulator.replay.instance import Instance

ASSIGNMENTS = "solution_info_assignments.txt"
ORDERS = "solution_info_orders.txt"
COURIERS = "solution_info_couriers.txt"


def write_solution(folder: Path, instance: Instance, history: History) -> None:
    """Fill `folder`, which is made if missing. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / ASSIGNMENTS, _assignments(history))
    _write(folder / ORDERS, _orders(instance, history))
    _write(folder / COURIERS, _couriers(instance, history))


def _write(file: Path, lines: list[str]) -> None:
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _assignments(history: History) -> list[str]:
    """A bundle counts as assigned when it last changed before its pickup."""
    lines = ["assignment_time pickup_time courier orders"]
    for pickup in history.pickups:
        changed = max(c.at for c in history.commitments if c.courier == pickup.courier and c.at <= pickup.at)
        lines.append(f"{changed} {pickup.at} {pickup.courier} {' '.join(pickup.orders)}")
    return lines


def _orders(instance: Instance, history: History) -> list[str]:
    picked = {o: p for p in history.pickups for o in p.orders}
    dropped = {d.order: d.at for d in history.drops}
    lines = ["order placement_time restaurant ready_time pickup_time dropoff_time courier"]
    for o in instance.orders:
        known = f"{o.name} {o.placed} {o.restaurant} {o.ready}"
        pickup = picked.get(o.name)
        done = "nan nan nan" if pickup is None else f"{pickup.at} {dropped[o.name]} {pickup.courier}"
        lines.append(f"{known} {done}")
    return lines


def _couriers(instance: Instance, history: History) -> list[str]:
    lines = ["courier departure_time origin destination"]
    for courier in instance.couriers:
        lines += [
            f"{m.courier} {m.departed} {m.origin} {m.destination}" for m in history.moves if m.courier == courier.name
        ]
    return lines
