"""`orders.v1.Orders`: translate, call the service, translate back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node.clock import Clock
from orders.call_limit import CallLimit
from orders.metrics import TURNED_AWAY
from orders.model import ActionRequired, Basket, Item, Order, Position, Price, Restaurant
from orders.ordering.basket import same_currency
from orders.ordering.metrics import PLACE_MS, PLACED
from orders.ordering.ports import ServedCities
from orders.ordering.service import OrderService
from proto.common.v1.types_pb2 import LatLng, Money
from proto.orders.v1 import orders_pb2 as pb
from proto.orders.v1.orders_pb2_grpc import OrdersServicer

SERVICE = pb.DESCRIPTOR.services_by_name["Orders"].full_name


@dataclass(frozen=True, slots=True)
class OrdersApi(OrdersServicer):
    """The RPCs of `OrderService`."""

    service: OrderService
    cities: ServedCities
    clock: Clock
    limit: CallLimit = field(default_factory=lambda: CallLimit(TURNED_AWAY))

    async def Quote(self, request: pb.QuoteRequest, context: Any) -> pb.QuoteResponse:  # noqa: N802
        async with self.limit.admitted():
            price, eta = await self.service.quote(self._basket(request.basket))
        return pb.QuoteResponse(price=price_message(price), eta_ms=eta.eta_ms, eta_p90_ms=eta.eta_p90_ms)

    async def Place(self, request: pb.PlaceRequest, context: Any) -> pb.PlaceResponse:  # noqa: N802
        started_s = self.clock.monotonic_s()
        async with self.limit.admitted():
            placement = await self.service.place(
                request.user_id, request.idempotency_key, self._basket(request.basket), request.payment_token
            )
        PLACE_MS.observe(1000 * (self.clock.monotonic_s() - started_s))
        if not placement.replayed:
            PLACED.labels(placement.order.basket.city).inc()
        return pb.PlaceResponse(order=order_message(placement.order), replayed=placement.replayed)

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:  # noqa: N802
        async with self.limit.admitted():
            order = await self.service.get(request.order_id, request.user_id)
        return pb.GetResponse(order=order_message(order, for_customer=bool(request.user_id)))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:  # noqa: N802
        async with self.limit.admitted():
            page = await self.service.list_orders(request.user_id, request.cursor, request.limit)
        return pb.ListResponse(orders=map(order_message, page.orders), next_cursor=page.next_cursor)

    async def Cancel(self, request: pb.CancelRequest, context: Any) -> pb.CancelResponse:  # noqa: N802
        async with self.limit.admitted():
            order = await self.service.cancel(request.order_id, request.user_id, request.reason)
        return pb.CancelResponse(order=order_message(order, for_customer=bool(request.user_id)))

    def _basket(self, basket: pb.Basket) -> Basket:
        """The basket as a value, all of it in the currency of its city; the service checks the rest."""
        currency = self.cities.city(basket.city).currency
        for number, item in enumerate(basket.items):
            same_currency(f"items[{number}].price", item.price.currency, currency)
        if basket.HasField("tip"):
            same_currency("tip", basket.tip.currency, currency)
        restaurant = basket.restaurant
        return Basket(
            basket.city,
            currency,
            Restaurant(restaurant.restaurant_id, restaurant.name, _position(restaurant.at), restaurant.preparation_s),
            _position(basket.dropoff),
            tuple(Item(item.sku, item.name, item.quantity, item.price.minor) for item in basket.items),
            basket.tip.minor,
        )


def price_message(price: Price) -> pb.Price:
    """A price as a message."""
    money = [price.items_minor, price.delivery_fee_minor, price.tip_minor, price.total_minor]
    items, fee, tip, total = (Money(minor=minor, currency=price.currency) for minor in money)
    tax = Money(minor=price.tax_minor, currency=price.currency)
    return pb.Price(items=items, delivery_fee=fee, tip=tip, total=total, tax=tax, tax_included=price.tax_included)


def order_message(order: Order, *, for_customer: bool = True) -> pb.Order:
    """An order as a message. What opens its payment is for the customer alone."""
    return pb.Order(
        refunded=Money(minor=order.refunded_minor, currency=order.price.currency),
        action_required=_action_message(order.action) if order.action and for_customer else None,
        order_id=order.order_id,
        user_id=order.user_id,
        basket=_basket_message(order.basket),
        price=price_message(order.price),
        status=_status(order.status),
        history=[
            pb.StatusChange(status=_status(line.status), at_ms=line.at_ms, reason=line.reason) for line in order.history
        ],
        placed_ms=order.placed_ms,
        ready_ms=order.ready_ms,
        promised_ms=order.promised_ms,
        version=order.version,
        rider_id=order.rider_id,
        eta_ms=order.eta_ms,
    )


def _action_message(action: ActionRequired) -> pb.ActionRequired:
    return pb.ActionRequired(kind=action.kind, client_secret=action.client_secret, redirect_url=action.redirect_url)


def _status(status: str) -> pb.OrderStatus.ValueType:
    return pb.OrderStatus.Value(f"ORDER_STATUS_{status}")


def _basket_message(basket: Basket) -> pb.Basket:
    restaurant, currency = basket.restaurant, basket.currency
    return pb.Basket(
        city=basket.city,
        restaurant=pb.Restaurant(
            restaurant_id=restaurant.restaurant_id,
            name=restaurant.name,
            at=_lat_lng(restaurant.at),
            preparation_s=restaurant.preparation_s,
        ),
        dropoff=_lat_lng(basket.dropoff),
        items=[
            pb.Item(
                sku=item.sku,
                name=item.name,
                quantity=item.quantity,
                price=Money(minor=item.price_minor, currency=currency),
            )
            for item in basket.items
        ],
        tip=Money(minor=basket.tip_minor, currency=currency),
    )


def _position(at: LatLng) -> Position:
    return Position(at.lat_e7, at.lng_e7)


def _lat_lng(at: Position) -> LatLng:
    return LatLng(lat_e7=at.lat_e7, lng_e7=at.lng_e7)
