"""Ports of a city kept in memory, for tests and simulations; they keep the promises of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dispatch.engine.codec import to_plain
from dispatch.engine.model import Cooldown, Offer, OfferStatus, Order, OrderId, Rider, RiderId
from dispatch.engine.tracks import Track
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.shard.adapters.rows import explained
from dispatch.shard.adapters.tick_rows import messages_of
from dispatch.shard.errors import DoubleAssignment
from dispatch.shard.holdings import Holding, HoldingChanges
from dispatch.shard.ports import CommittedChanges, LivePosition, StoredCity, TickCommit
from node.outbox.memory import MemoryOutbox
from proto.fix_columns import FixColumns
from shard_router.fence import OwnershipLost
from shard_router.topology import Ownership


@dataclass(slots=True)
class _CityRows:
    tick: int = 0
    #: Epoch and tick of the cut.
    cut_of: tuple[int, int] = (0, 0)
    cut: Cut | None = None
    riders: dict[RiderId, Rider] = field(default_factory=dict)
    cooldowns: dict[tuple[RiderId, OrderId], Cooldown] = field(default_factory=dict)
    ticks: dict[int, TickCommit] = field(default_factory=dict)


class MemoryDecisionLog:
    """`DecisionLog`, with the outbox of each city. `owns` plays the part of router.hold."""

    def __init__(self, owns: Callable[[Ownership], bool] = lambda _: True) -> None:
        self._owns = owns
        self._cities: dict[str, _CityRows] = {}
        self._city_of: dict[OrderId, str] = {}
        self.orders: dict[OrderId, Order] = {}
        self._offers: dict[str, tuple[str, Offer]] = {}
        self._tracks: dict[OrderId, Track] = {}
        self.holdings: dict[OrderId, tuple[str, Holding]] = {}
        self.ranges: dict[tuple[str, int, Cut], Cut] = {}
        self._outboxes: dict[str, MemoryOutbox] = {}

    async def load(self, ownership: Ownership, ended_since_ms: int) -> StoredCity:
        city, rows = ownership.city, self._rows(ownership.city)
        orders = [
            order
            for order_id, order in self.orders.items()
            if self._city_of[order_id] == city and (order.ended_ms is None or order.ended_ms >= ended_since_ms)
        ]
        offers = [o for name, o in self._offers.values() if name == city and o.status is OfferStatus.LIVE]
        open_ids = {order.order_id for order in orders if not order.ended}
        cooldowns = [c for c in rows.cooldowns.values() if c.order_id in open_ids]
        tracks = (self._tracks.get(order.order_id) for order in orders)
        return StoredCity(
            tick=rows.tick,
            cut=rows.cut,
            entities=(*orders, *rows.riders.values(), *offers, *cooldowns),
            tracks=tuple(track for track in tracks if track is not None),
            holdings=tuple(holding for name, holding in self.holdings.values() if name == city),
        )

    async def changed(self, city: str, after_tick: int, ended_since_ms: int) -> CommittedChanges:
        rows = self._rows(city)
        fresh = [rows.ticks[number].changes for number in sorted(rows.ticks) if number > after_tick]
        track_changes = [rows.ticks[number].tracks for number in sorted(rows.ticks) if number > after_tick]
        offers = [o for name, o in self._offers.values() if name == city and o.status is OfferStatus.LIVE]
        open_ids = {o for o, order in self.orders.items() if self._city_of[o] == city and not order.ended}
        return CommittedChanges(
            tick=rows.tick,
            cut=rows.cut,
            entities=(
                *({o.order_id: o for changes in fresh for o in changes.orders}.values()),
                *({r.rider_id: r for changes in fresh for r in changes.riders}.values()),
                *offers,
                *(c for c in rows.cooldowns.values() if c.order_id in open_ids),
            ),
            offer_ids=frozenset(offer.offer_id for offer in offers),
            tracks=tuple({t.order_id: t for changes in track_changes for t in changes.tracks}.values()),
            holdings=tuple(holding for name, holding in self.holdings.values() if name == city),
        )

    async def commit(self, tick: TickCommit) -> None:
        own, rows = tick.ownership, self._rows(tick.ownership.city)
        self._check(own)
        if tick.tick in rows.ticks:
            raise DoubleAssignment(f"tick {tick.tick} of {own.city} is there already")
        self._hold(own.city, tick.holdings)
        self._check_offers(tick.changes.offers)
        rows.ticks[tick.tick] = tick
        rows.tick = tick.tick
        for order in tick.changes.orders:
            self.orders[order.order_id] = order
            self._city_of[order.order_id] = own.city
        rows.riders.update((rider.rider_id, rider) for rider in tick.changes.riders)
        rows.cooldowns.update(((c.rider_id, c.order_id), c) for c in tick.changes.cooldowns)
        self._offers.update((offer.offer_id, (own.city, offer)) for offer in tick.changes.offers)
        self._tracks.update((track.order_id, track) for track in tick.tracks.tracks)
        self.outbox_of(own.city).unsent += messages_of(tick)
        self._save_cut(own, tick.tick, tick.applied)

    def outbox_of(self, city: str) -> MemoryOutbox:
        """The outbox of a city."""
        return self._outboxes.setdefault(city, MemoryOutbox(whole_keys=False))

    def commits(self, city: str) -> Sequence[TickCommit]:
        """All ticks of a city, in order."""
        ticks = self._rows(city).ticks
        return [ticks[number] for number in sorted(ticks)]

    async def committed(self, city: str, tick: int, epoch: int) -> bool:
        found = self._rows(city).ticks.get(tick)
        return found is not None and found.ownership.epoch == epoch

    async def save_cut(self, ownership: Ownership, tick: int, applied: AppliedRange) -> None:
        self._check(ownership)
        self._save_cut(ownership, tick, applied)

    async def known(self, order_ids: Sequence[OrderId]) -> set[OrderId]:
        return {order_id for order_id in order_ids if order_id in self.orders}

    async def track(self, city: str, order_id: OrderId) -> tuple[Order, Track] | None:
        if self._city_of.get(order_id) != city or order_id not in self._tracks:
            return None
        return self.orders[order_id], self._tracks[order_id]

    async def explain(self, city: str, order_id: OrderId) -> list[str]:
        return [
            explained(to_plain(record), self._where(number, tick, record.offer_id))
            for number, tick in sorted(self._rows(city).ticks.items())
            for record in tick.records
            if order_id in record.order_ids
        ]

    def _where(self, number: int, tick: TickCommit, offer_id: str) -> dict[str, Any]:
        offer = self._offers[offer_id][1]
        return {
            "tick": number,
            "epoch": tick.ownership.epoch,
            "now_ms": tick.basis.now_ms,
            "shard_id": "memory",
            "travel_version": tick.basis.travel_version,
            "strategy": tick.strategy,
            "solver_status": tick.solver_status,
            "solver_work": tick.solver_work,
            "fallback": tick.basis.solver_fallback,
            "cut": asdict(tick.applied.cut),
            "outcome": offer.status,
            "answered_ms": offer.ended_ms,
        }

    def _rows(self, city: str) -> _CityRows:
        return self._cities.setdefault(city, _CityRows())

    def _check(self, ownership: Ownership) -> None:
        if not self._owns(ownership):
            raise OwnershipLost(f"{ownership.city} is not owned in epoch {ownership.epoch}")

    def _save_cut(self, own: Ownership, tick: int, applied: AppliedRange) -> None:
        rows, cut = self._rows(own.city), applied.cut
        if (own.epoch, tick) > rows.cut_of or ((own.epoch, tick) == rows.cut_of and not _behind(cut, rows.cut)):
            rows.cut, rows.cut_of = cut, (own.epoch, tick)
            self.ranges[own.city, own.epoch, applied.first] = cut

    def _hold(self, city: str, changes: HoldingChanges) -> None:
        """All or nothing, as an index in a transaction would have it."""
        after = {order_id: held for order_id, held in self.holdings.items() if order_id not in changes.ended}
        for holding in changes.begun:
            if holding.order_id in after:
                raise DoubleAssignment(f"order {holding.order_id} is held already")
            after[holding.order_id] = (city, holding)
        after.update((holding.order_id, (city, holding)) for holding in changes.accepted)
        places = [(held.rider_id, held.place) for _, held in after.values() if held.place is not None]
        if len(places) != len(set(places)):
            raise DoubleAssignment("a place in a rider's load is taken already")
        self.holdings = after

    def _check_offers(self, changed: Sequence[Offer]) -> None:
        after = {offer_id: offer for offer_id, (_, offer) in self._offers.items()}
        after.update((offer.offer_id, offer) for offer in changed)
        riders = [offer.rider_id for offer in after.values() if offer.status is OfferStatus.LIVE]
        if len(riders) != len(set(riders)):
            raise DoubleAssignment("a rider has a live offer already")


def _behind(cut: Cut, stored: Cut | None) -> bool:
    if stored is None or cut.incarnation != stored.incarnation:
        return False
    return cut.pings_offset < stored.pings_offset or cut.events_offset < stored.events_offset


class MemoryAnnouncements:
    """`Announcements` as lists."""

    def __init__(self) -> None:
        self.live: list[tuple[str, int, list[LivePosition]]] = []
        self.wakes: list[tuple[str, int, list[str], list[int]]] = []

    async def positions(self, city: str, epoch: int, positions: Sequence[LivePosition]) -> None:
        self.live.append((city, epoch, list(positions)))

    async def wake(self, city: str, epoch: int, order_ids: Sequence[str], rider_ids: Sequence[int]) -> None:
        self.wakes.append((city, epoch, list(order_ids), list(rider_ids)))


class MemoryPositionsView:
    """`PositionsView` as a dict: rider -> (epoch, lat_e7, lng_e7, ts_ms). `lose` does what a restart of Redis does."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, int], tuple[int, int, int, int]] = {}
        self._written: set[str] = set()

    def lose(self) -> None:
        """Everything."""
        self.shown.clear()
        self._written.clear()

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        columns = (fixes.rider_id, fixes.lat_e7, fixes.lng_e7, fixes.ts_ms)
        for rider, lat, lng, ts in zip(*(column.tolist() for column in columns), strict=True):
            if self.shown.get((city, rider), (0,))[0] <= epoch:
                self.shown[city, rider] = (epoch, lat, lng, ts)
        kept = city in self._written
        self._written.add(city)
        return kept

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        for rider in rider_ids:
            if self.shown.get((city, rider), (epoch + 1,))[0] <= epoch:
                del self.shown[city, rider]

    async def riders(self, city: str) -> list[int]:
        return [rider for name, rider in self.shown if name == city]

    async def at(self, city: str, rider_id: int) -> tuple[int, int, int] | None:
        """Position and time of a rider."""
        found = self.shown.get((city, rider_id))
        return found[1:] if found is not None else None
