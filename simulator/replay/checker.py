"""Holds a replay's history against every rule of the MDRP (Reyes et al. 2018). Knows no engine.

Independent of `dispatch.engine.service_times` on purpose: it has its own sum of ways, waits and services, straight from
the paper, so that a fault in the one that the engine and the replay share is found. Works in whole minutes and exact
integers; each broken rule is one line of text.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from math import isqrt

from simulator.replay.history import Commitment, Drop, History, Leg, Pickup
from simulator.replay.instance import Courier, Instance, InstanceOrder, Xy


def travel_minutes(a: Xy, b: Xy, metres_per_minute: int) -> int:
    """ceil(Euclid / metres a minute), in integers: the least k with (k * m)^2 >= d^2."""
    square = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
    root = isqrt(square)
    metres = root if root * root == square else root + 1  # ceil of a ceil is the same ceil
    return -(-metres // metres_per_minute)


def violations(instance: Instance, history: History, idle_moves: bool = False) -> list[str]:
    """Every broken rule. `idle_moves` allows idle couriers to be sent to a restaurant.

    Where the history names somebody or something that the instance does not know, that alone is told: no other rule can
    be held against it.
    """
    checker = _Checker(instance, history)
    checker.known_names()
    if checker.found:
        return checker.found
    checker.once_each()
    checker.commitments()
    for courier in instance.couriers:
        _Day(checker, courier, idle_moves).check()
    return checker.found


class _Checker:
    """The instance and the history by name, and what was found."""

    def __init__(self, instance: Instance, history: History) -> None:
        self.instance, self.history = instance, history
        self.rules = instance.rules
        self.orders: dict[str, InstanceOrder] = {o.name: o for o in instance.orders}
        self.places: dict[str, Xy] = dict(instance.restaurants)
        self.places |= {o.name: o.xy for o in instance.orders}
        self.places |= {c.name: c.xy for c in instance.couriers}
        self.found: list[str] = []

    def fail(self, text: str) -> None:
        self.found.append(text)

    def travel(self, origin: str, destination: str) -> int:
        return travel_minutes(self.places[origin], self.places[destination], self.rules.metres_per_minute)

    def known_names(self) -> None:
        """Check that every order, courier and place of the history is one of the instance."""
        history = self.history
        orders = {o for c in history.commitments for o in c.orders} | {o for p in history.pickups for o in p.orders}
        orders |= {d.order for d in history.drops}
        said = (history.commitments, history.pickups, history.drops, history.moves)
        couriers = {event.courier for events in said for event in events}
        places = {name for m in history.moves for name in (m.origin, m.destination)}
        known_couriers = {c.name for c in self.instance.couriers}
        for what, names, known in (
            ("order", orders, self.orders.keys()),
            ("courier", couriers, known_couriers),
            ("place", places, self.places.keys()),
        ):
            for name in sorted(names - known):
                self.fail(f"{name}: no such {what}")
        for pickup in history.pickups:
            if not pickup.orders:
                self.fail(f"{pickup.courier}: picked up nothing at {pickup.at}")

    def once_each(self) -> None:
        """An order is picked up once and dropped once, by the same courier."""
        picked = Counter(o for p in self.history.pickups for o in p.orders)
        dropped = Counter(d.order for d in self.history.drops)
        for order in sorted(set(picked) | set(dropped)):
            if picked[order] != 1 or dropped[order] != 1:
                self.fail(f"{order}: picked up {picked[order]} times, dropped {dropped[order]} times")
        by: dict[str, str] = {o: p.courier for p in self.history.pickups for o in p.orders}
        for drop in self.history.drops:
            if by.get(drop.order) != drop.courier:
                self.fail(f"{drop.order}: dropped by {drop.courier}, picked up by {by.get(drop.order)}")

    def commitments(self) -> None:
        """Check that nothing is bound before it is placed, to two couriers at once, or after its pickup."""
        bound: dict[str, str] = {}
        holds: dict[str, tuple[str, ...]] = defaultdict(tuple)
        gone = {o: p.at for p in self.history.pickups for o in p.orders}
        events = sorted(self.history.commitments, key=lambda c: c.at)
        for at in sorted({c.at for c in events}):
            now = [c for c in events if c.at == at]
            for commitment in now:  # All changes of a minute happen together.
                for order in holds[commitment.courier]:
                    bound.pop(order, None)
            for commitment in now:
                self._commit(commitment, bound, gone)
                holds[commitment.courier] = commitment.orders

    def _commit(self, commitment: Commitment, bound: dict[str, str], gone: dict[str, int]) -> None:
        at, courier = commitment.at, commitment.courier
        if len({self.orders[o].restaurant for o in commitment.orders}) > 1:
            self.fail(f"{courier} at {at}: a bundle of several restaurants: {commitment.orders}")
        for order in commitment.orders:
            if at < self.orders[order].placed:
                self.fail(f"{order}: bound at {at}, placed at {self.orders[order].placed}")
            if order in bound:
                self.fail(f"{order}: bound to {courier} at {at} while {bound[order]} holds it")
            if order in gone and gone[order] < at:
                self.fail(f"{order}: bound at {at}, picked up at {gone[order]}")
            bound[order] = courier


class _Day:
    """One courier's day, replayed move by move."""

    def __init__(self, checker: _Checker, courier: Courier, idle_moves: bool) -> None:
        self.c, self.courier, self.idle_moves = checker, courier, idle_moves
        name = courier.name
        self.moves = [m for m in checker.history.moves if m.courier == name]
        self.pickups = [p for p in checker.history.pickups if p.courier == name]
        self.drops = {d.order: d for d in checker.history.drops if d.courier == name}
        self.commitments = [c for c in checker.history.commitments if c.courier == name]
        self.place, self.free = name, courier.on

    def fail(self, text: str) -> None:
        self.c.fail(f"{self.courier.name}: {text}")

    def check(self) -> None:
        moves = iter(self.moves)
        for pickup in self.pickups:
            restaurant = self.c.orders[pickup.orders[0]].restaurant
            move = next(moves, None)
            while move is not None and self._repositions(move, pickup):
                self._depart(move)
                self.free = move.departed + self.c.travel(move.origin, move.destination)
                move = next(moves, None)
            if move is None or move.destination != restaurant:
                self.fail(f"picked up at {restaurant} at {pickup.at} without a move there")
                return
            self._depart(move)
            self._pick_up(pickup, move)
            for order in pickup.orders:
                leg = next(moves, None)
                if leg is None or leg.destination != order:
                    self.fail(f"{order}: dropped without a move to it, in the order of the bundle")
                    return
                self._drop(order, leg)
        for move in moves:
            if not self.idle_moves:
                self.fail(f"moved to {move.destination} at {move.departed} for nothing")
            self._depart(move)
            self.free = move.departed + self.c.travel(move.origin, move.destination)

    def _repositions(self, move: Leg, pickup: Pickup) -> bool:
        """The move leads to a restaurant without a bundle; the next move is another one."""
        bound = any(c.at == move.departed and c.orders for c in self.commitments)
        return self.idle_moves and not bound

    def _depart(self, move: Leg) -> None:
        if move.origin != self.place:
            self.fail(f"left {move.origin} at {move.departed}, but was at {self.place}")
        if move.departed < self.free:
            self.fail(f"left {move.origin} at {move.departed}, free at {self.free}")
        self.place = move.destination

    def _pick_up(self, pickup: Pickup, move: Leg) -> None:
        half = self.c.rules.pickup_service // 2
        arrival = move.departed + self.c.travel(move.origin, move.destination)
        mine = [c for c in self.commitments if move.departed <= c.at <= pickup.at]
        last = max(mine, key=lambda c: c.at, default=None)
        if not mine or min(c.at for c in mine) != move.departed:
            self.fail(f"set out at {move.departed} without a bundle")
        if last is None or set(last.orders) != set(pickup.orders) or last.orders != pickup.orders:
            self.fail(f"picked up {pickup.orders} at {pickup.at}, bound to {last.orders if last else ()}")
        ready = max(self.c.orders[o].ready for o in pickup.orders)
        due = max(ready, arrival + half, last.at if last else 0)
        if pickup.at != due:
            self.fail(f"picked up {pickup.orders} at {pickup.at}, the rules say {due}")
        if pickup.at > self.courier.off:
            self.fail(f"picked up {pickup.orders} at {pickup.at}, off since {self.courier.off}")
        for commitment in mine:
            if {self.c.orders[o].restaurant for o in commitment.orders} - {move.destination}:
                self.fail(f"diverted on the way at {commitment.at} to {commitment.orders}")
            if not commitment.orders:
                self.fail(f"lost its whole bundle on the way at {commitment.at}")
        self.free = pickup.at + half

    def _drop(self, order: str, leg: Leg) -> None:
        half = self.c.rules.dropoff_service // 2
        self._depart(leg)
        if leg.departed != self.free:
            self.fail(f"left for {order} at {leg.departed}, could leave at {self.free}")
        due = leg.departed + self.c.travel(leg.origin, leg.destination) + half
        drop = self.drops.get(order, Drop(-1, self.courier.name, order))
        if drop.at != due:
            self.fail(f"dropped {order} at {drop.at}, the rules say {due}")
        self.free = due + half
