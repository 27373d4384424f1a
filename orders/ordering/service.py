"""Operations of customers and partners on orders: quote, place, read, cancel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from node.clock import Clock
from node.errors import Invalid
from orders.errors import UnknownOrder
from orders.ids import OrderIds, checked_order_id
from orders.model import Basket, Order, Price, Status
from orders.ordering import saga
from orders.ordering.basket import checked_basket
from orders.ordering.events import Change
from orders.ordering.ports import Estimates, Eta, IdempotencyKey, KitchenTermsLookup, Page, Placement
from orders.ordering.pricing import price_of, promised_ms
from orders.ordering.saga import Signal
from orders.ordering.store import OrderStore
from orders.ordering.transitions import Trigger
from orders.ranges import ByRange
from orders.text_checks import checked_key, checked_reason, checked_token, checked_user
from shard_router.cities.catalogue import CityLookup

DEFAULT_PAGE = 20
MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class OrderService:
    """Checks, prices, stores. Every input is checked before anything is written."""

    stores: ByRange[OrderStore]
    estimates: Estimates
    ids: OrderIds
    clock: Clock
    cities: CityLookup
    kitchens: KitchenTermsLookup

    async def quote(self, basket: Basket) -> tuple[Price, Eta]:
        """Price and ETA of a basket."""
        price = price_of(checked_basket(basket, self.cities))
        terms = await self.kitchens.terms(basket)
        ready_ms = self.clock.domain_ms() + 1000 * (terms.preparation_s or basket.restaurant.preparation_s)
        return price, await self.estimates.estimate(basket, ready_ms)

    async def place(self, user_id: str, key: str, basket: Basket, token: str) -> Placement:
        """Places an order, or gives back the one that this key placed with the same body."""
        user = checked_user(user_id)
        price = price_of(checked_basket(basket, self.cities))
        body = orjson.dumps([basket, checked_token(token)])
        idempotency = IdempotencyKey(checked_key(key), hashlib.sha256(body).digest())
        terms = await self.kitchens.terms(basket)
        now_ms = self.clock.domain_ms()
        promised = promised_ms(basket, now_ms)
        change = saga.place(self.ids.new(user), user, basket, price, now_ms, promised, token, terms)
        return await self.stores.of_user(user).decisions.place(change, idempotency)

    async def get(self, order_id: str, user_id: str) -> Order:
        """The order, if it is this user's; services ask with an empty user."""
        known = checked_order_id(order_id)
        order = await self.stores.of_order(known).reads.get(known)
        if order is None or user_id not in ("", order.user_id):
            raise UnknownOrder(known)
        return order

    async def list_orders(self, user_id: str, cursor: str, limit: int) -> Page:
        """A page of the user's orders, newest first."""
        user = checked_user(user_id)
        if not 0 <= limit <= MAX_PAGE:
            raise Invalid("limit", f"0..{MAX_PAGE}", reason="OUT_OF_RANGE")
        before = checked_order_id(cursor) if cursor else None
        return await self.stores.of_user(user).reads.page(user, before, limit or DEFAULT_PAGE)

    async def cancel(self, order_id: str, user_id: str, reason: str) -> Order:
        """Cancels where the state table allows it; cancelling twice changes nothing."""
        known, why = checked_order_id(order_id), checked_reason(reason) or "cancelled by the customer"

        def decide(order: Order) -> Change:
            if user_id not in ("", order.user_id):
                raise UnknownOrder(known)
            if order.status is Status.CANCELLED:
                return Change(order)
            return saga.step(order, Signal(Trigger.CANCEL, self.clock.domain_ms(), reason=why))

        return await self.stores.of_order(known).change(known, decide)
