"""The state of a city, and a draft of it that only becomes true by `commit`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dispatch.engine.model import Cooldown, Offer, OfferId, OfferStatus, Order, OrderId, Rider, RiderId

Entity = Order | Rider | Offer | Cooldown


@dataclass(frozen=True, slots=True)
class Changes:
    """Entities as they are after a draft, each once, sorted by id; for the tick's transaction.

    `forgotten` are orders whose end lies so far back that memory drops them.
    """

    orders: tuple[Order, ...]
    riders: tuple[Rider, ...]
    offers: tuple[Offer, ...]
    cooldowns: tuple[Cooldown, ...]
    forgotten: tuple[OrderId, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.orders or self.riders or self.offers or self.cooldowns or self.forgotten)


@dataclass(slots=True)
class CityState:
    """All the engine remembers of a city, positions aside.

    `orders` are those not ended; `ended` keeps ids of recent ends, so that late and repeated inputs
    are recognised; `offers` are live ones.
    """

    orders: dict[OrderId, Order] = field(default_factory=dict)
    riders: dict[RiderId, Rider] = field(default_factory=dict)
    offers: dict[OfferId, Offer] = field(default_factory=dict)
    cooldowns: dict[tuple[RiderId, OrderId], int] = field(default_factory=dict)
    ended: dict[OrderId, int] = field(default_factory=dict)

    @staticmethod
    def load(entities: Iterable[Entity]) -> CityState:
        """State from stored entities, in any order; the last of equal ids wins."""
        state = CityState()
        for entity in entities:
            state._put(entity)
        return state

    def commit(self, changes: Changes) -> None:
        """Make a draft's changes true; call it once their transaction has committed."""
        entities: list[Entity] = [*changes.orders, *changes.riders, *changes.offers, *changes.cooldowns]
        for entity in entities:
            self._put(entity)
        for order_id in changes.forgotten:
            self.ended.pop(order_id, None)

    def _put(self, entity: Entity) -> None:
        if isinstance(entity, Order):
            self._put_order(entity)
        elif isinstance(entity, Rider):
            self.riders[entity.rider_id] = entity
        elif isinstance(entity, Offer):
            if entity.status is OfferStatus.LIVE:
                self.offers[entity.offer_id] = entity
            else:
                self.offers.pop(entity.offer_id, None)
        else:
            self.cooldowns[entity.rider_id, entity.order_id] = entity.until_ms

    def _put_order(self, order: Order) -> None:
        if not order.ended:
            self.orders[order.order_id] = order
            return
        self.orders.pop(order.order_id, None)
        self.ended[order.order_id] = order.ended_ms or 0
        for key in [k for k in self.cooldowns if k[1] == order.order_id]:
            del self.cooldowns[key]


class Draft:
    """Uncommitted changes of a tick: reads fall through to the state, writes stay here."""

    __slots__ = (
        "_cooldowns",
        "_forgotten",
        "_offers",
        "_orders",
        "_riders",
        "_sorted_orders",
        "_sorted_riders",
        "base",
    )

    def __init__(self, base: CityState) -> None:
        self.base = base
        self._orders: dict[OrderId, Order] = {}
        self._riders: dict[RiderId, Rider] = {}
        self._offers: dict[OfferId, Offer] = {}
        self._cooldowns: dict[tuple[RiderId, OrderId], int] = {}
        self._forgotten: list[OrderId] = []
        # A tick asks for all of them half a dozen times, and thousands take milliseconds to sort.
        self._sorted_orders: list[Order] | None = None
        self._sorted_riders: list[Rider] | None = None

    def order(self, order_id: OrderId) -> Order | None:
        """The order if it has not ended."""
        found = self._orders.get(order_id) or self.base.orders.get(order_id)
        return None if found is None or found.ended else found

    def has_ended(self, order_id: OrderId) -> bool:
        """The order is known to have ended not long ago."""
        drafted = self._orders.get(order_id)
        return order_id in self.base.ended if drafted is None else drafted.ended

    def rider(self, rider_id: RiderId) -> Rider | None:
        """The rider, online or not."""
        return self._riders.get(rider_id) or self.base.riders.get(rider_id)

    def offer(self, offer_id: OfferId) -> Offer | None:
        """The offer if it is live."""
        found = self._offers.get(offer_id) or self.base.offers.get(offer_id)
        return found if found is not None and found.status is OfferStatus.LIVE else None

    def orders(self) -> list[Order]:
        """Orders that have not ended, by id."""
        if self._sorted_orders is None:
            merged = {**self.base.orders, **self._orders}
            self._sorted_orders = [merged[k] for k in sorted(merged) if not merged[k].ended]
        return self._sorted_orders.copy()

    def riders(self) -> list[Rider]:
        """All known riders, by id."""
        if self._sorted_riders is None:
            merged = {**self.base.riders, **self._riders}
            self._sorted_riders = [merged[k] for k in sorted(merged)]
        return self._sorted_riders.copy()

    def borrowed(self) -> list[Rider]:
        """Riders of neighbours who work here, by id."""
        merged = {**self.base.riders, **self._riders}
        return sorted((rider for rider in merged.values() if rider.borrowed), key=lambda rider: rider.rider_id)

    def offers(self) -> list[Offer]:
        """Live offers, by id."""
        merged = {**self.base.offers, **self._offers}
        return [merged[k] for k in sorted(merged) if merged[k].status is OfferStatus.LIVE]

    def cooldowns(self) -> dict[tuple[RiderId, OrderId], int]:
        """All cooldowns, ended ones included."""
        return {**self.base.cooldowns, **self._cooldowns}

    def put_order(self, order: Order) -> None:
        """Write an order."""
        self._orders[order.order_id] = order
        self._sorted_orders = None

    def put_rider(self, rider: Rider) -> None:
        """Write a rider."""
        self._riders[rider.rider_id] = rider
        self._sorted_riders = None

    def put_offer(self, offer: Offer) -> None:
        """Write an offer."""
        self._offers[offer.offer_id] = offer

    def put_cooldown(self, cooldown: Cooldown) -> None:
        """Write a cooldown."""
        self._cooldowns[cooldown.rider_id, cooldown.order_id] = cooldown.until_ms

    def end_offer(self, offer: Offer, status: OfferStatus, at_ms: int) -> None:
        """Close a live offer and clear it from its rider's screen."""
        self.put_offer(replace(offer, status=status, ended_ms=at_ms))
        rider = self.rider(offer.rider_id)
        if rider is not None and rider.offer_id == offer.offer_id:
            self.put_rider(replace(rider, offer_id=None))

    def forget_ended_before(self, before_ms: int) -> None:
        """Drop ids of orders that ended before `before_ms`."""
        self._forgotten.extend(k for k, ended_ms in self.base.ended.items() if ended_ms < before_ms)

    def changes(self) -> Changes:
        """All that was written, sorted by id; equal to the base or not."""
        return Changes(
            orders=tuple(self._orders[k] for k in sorted(self._orders)),
            riders=tuple(self._riders[k] for k in sorted(self._riders)),
            offers=tuple(self._offers[k] for k in sorted(self._offers)),
            cooldowns=tuple(Cooldown(r, o, self._cooldowns[r, o]) for r, o in sorted(self._cooldowns)),
            forgotten=tuple(sorted(self._forgotten)),
        )
