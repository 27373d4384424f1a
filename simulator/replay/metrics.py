"""Figures of a replay, defined as in Reyes et al. 2018 and its official evaluator."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.replay.checker import travel_minutes
from simulator.replay.history import History
from simulator.replay.instance import Instance


@dataclass(frozen=True, slots=True)
class Metrics:
    """Means are over delivered orders; `utilisation` is the mean over couriers of the share of the shift
    spent driving and serving; `over_max_pct` counts orders delivered past the maximum click-to-door.
    `floor_min` is the least mean click-to-door there could be, were a courier at every counter;
    `undelivered_floor_pct` counts the orders that no courier can fetch within a shift, whatever is decided."""

    orders: int
    undelivered_pct: float
    click_to_door_mean_min: float
    click_to_door_p90_min: float
    ready_to_pickup_mean_min: float
    over_max_pct: float
    cost_per_order: float
    orders_per_bundle: float
    utilisation: float
    floor_min: float
    undelivered_floor_pct: float


def measure(instance: Instance, history: History) -> Metrics:
    """The figures, rounded to four decimals so that they read the same everywhere."""
    rules = instance.rules
    orders = {o.name: o for o in instance.orders}
    dropped = {d.order: d.at for d in history.drops}
    click_to_door = sorted(at - orders[o].placed for o, at in dropped.items())
    ready_to_pickup = [p.at - orders[o].ready for p in history.pickups for o in p.orders]
    over = sum(c > rules.maximum_click_to_door for c in click_to_door)
    direct = [
        travel_minutes(instance.restaurants[o.restaurant], o.xy, rules.metres_per_minute) for o in orders.values()
    ]
    floor = [
        o.ready - o.placed + way + (rules.pickup_service + rules.dropoff_service) // 2
        for o, way in zip(orders.values(), direct, strict=True)
    ]
    figures = (
        100 * _share(len(orders) - len(dropped), len(orders)),
        _mean(click_to_door),
        _percentile(click_to_door, 0.9),
        _mean(ready_to_pickup),
        100 * _share(over, len(orders)),
        _share(_pay(instance, history), len(dropped)),
        _share(len(dropped), len(history.pickups)),
        _mean(_busy_shares(instance, history)),
        _mean(floor),
        100 * _share(len(out_of_reach(instance)), len(orders)),
    )
    return Metrics(len(orders), *(round(f, 4) for f in figures))


def out_of_reach(instance: Instance) -> list[str]:
    """Orders that no courier could pick up before going off, not even one who set out for them at once."""
    rules = instance.rules
    half = rules.pickup_service // 2
    found = []
    for order in instance.orders:
        counter = instance.restaurants[order.restaurant]
        earliest = (
            max(order.ready, max(c.on, order.placed) + travel_minutes(c.xy, counter, rules.metres_per_minute) + half)
            for c in instance.couriers
        )
        if all(at > c.off for at, c in zip(earliest, instance.couriers, strict=True)):
            found.append(order.name)
    return found


def _mean(values: list[int] | list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _percentile(ordered: list[int], q: float) -> float:
    """Linear between the two nearest ranks, as numpy and pandas do."""
    if not ordered:
        return 0.0
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def _pay(instance: Instance, history: History) -> float:
    carried = dict.fromkeys((c.name for c in instance.couriers), 0)
    for drop in history.drops:
        carried[drop.courier] += 1
    rules = instance.rules
    return sum(
        max(carried[c.name] * rules.pay_per_order, (c.off - c.on) / 60 * rules.guaranteed_pay_per_hour)
        for c in instance.couriers
    )


def _busy_shares(instance: Instance, history: History) -> list[float]:
    rules = instance.rules
    places = dict(instance.restaurants) | {o.name: o.xy for o in instance.orders}
    places |= {c.name: c.xy for c in instance.couriers}
    busy = dict.fromkeys((c.name for c in instance.couriers), 0)
    for move in history.moves:
        busy[move.courier] += travel_minutes(places[move.origin], places[move.destination], rules.metres_per_minute)
    for pickup in history.pickups:
        busy[pickup.courier] += rules.pickup_service + rules.dropoff_service * len(pickup.orders)
    return [_share(busy[c.name], c.off - c.on) for c in instance.couriers]
