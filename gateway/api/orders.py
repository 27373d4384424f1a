"""Orders of customers."""

from __future__ import annotations

from collections.abc import Callable

import grpc.aio

from gateway.api import models, translate
from gateway.api.endpoint import Call, Endpoint, Parameter
from gateway.errors import Forbidden
from node.errors import Invalid
from node.tokens import TokenSigner
from proto.orders.v1 import orders_pb2 as pb
from proto.orders.v1.orders_pb2_grpc import OrdersStub

#: How long a call to orders may take, wall seconds.
DEADLINE_S = 5.0

_ORDER_ID = Parameter("order_id", "path", "the order", required=True)
_IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key", "header", "8 to 128 characters of your choice; send the same one to try again", required=True
)
_CURSOR = Parameter("cursor", "query", "next_cursor of the page before")
_LIMIT = Parameter("limit", "query", "orders a page", schema={"type": "integer", "minimum": 1, "maximum": 100})


class OrdersApi:
    """The endpoints under /v1/quotes and /v1/orders."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        currency_of: Callable[[str], str],
        signer: TokenSigner,
        live_url: str,
        tracking_ttl_s: int,
    ) -> None:
        self._orders = OrdersStub(channel)
        #: Currency of a city; raises `UnknownCity`.
        self._currency_of = currency_of
        self._signer = signer
        self._live_url = live_url.rstrip("/")
        self._ttl_s = tracking_ttl_s

    def endpoints(self) -> list[Endpoint]:
        one = (400, 401, 403, 404, 429, 503)
        return [
            Endpoint(
                "POST", "/v1/quotes", "What an order would cost and when it would arrive.",
                self.quote, models.Quote, body=models.QuoteBody,
            ),
            Endpoint(
                "POST", "/v1/orders", "Places an order.", self.place, models.Placed, status=201, body=models.OrderBody,
                parameters=(_IDEMPOTENCY_KEY,), errors=(400, 401, 403, 409, 429, 503),
            ),
            Endpoint(
                "GET", "/v1/orders", "Your orders, newest first.", self.list_, models.OrderPage,
                parameters=(_CURSOR, _LIMIT),
            ),
            Endpoint(
                "GET", "/v1/orders/{order_id}", "An order of yours, or the one your tracking token is for.",
                self.get, models.OrderAnswer, parameters=(_ORDER_ID,), errors=one,
            ),
            Endpoint(
                "POST", "/v1/orders/{order_id}/cancel", "Cancels an order, if its state still allows it.",
                self.cancel, models.OrderAnswer, body=models.CancelBody, parameters=(_ORDER_ID,), errors=(*one, 409),
            ),
        ]  # fmt: skip

    async def quote(self, call: Call) -> models.Quote:
        user_id = call.user_id
        body = call.parsed(models.QuoteBody)
        basket = translate.basket(body, self._currency_of(body.city))
        answer = await self._orders.Quote(pb.QuoteRequest(user_id=user_id, basket=basket), timeout=DEADLINE_S)
        return translate.quote(answer)

    async def place(self, call: Call) -> models.Placed:
        user_id = call.user_id
        body = call.parsed(models.OrderBody)
        request = pb.PlaceRequest(
            user_id=user_id,
            idempotency_key=_idempotency_key(call),
            basket=translate.basket(body, self._currency_of(body.city)),
            payment_token=body.payment_token,
        )
        order = (await self._orders.Place(request, timeout=DEADLINE_S)).order
        return models.Placed(
            order=translate.order(order),
            tracking_token=self._signer.sign("order", order.order_id, ttl_s=self._ttl_s, city=order.basket.city),
            live_url=f"{self._live_url}/v1/live/orders/{order.order_id}",
            track_url=str(call.request.base_url.replace(path=f"/track/{order.order_id}")),
        )

    async def get(self, call: Call) -> models.OrderAnswer:
        order_id = call.request.path_params["order_id"]
        request = pb.GetRequest(order_id=order_id, user_id=_reader_of(call, order_id))
        return models.OrderAnswer(order=translate.order((await self._orders.Get(request, timeout=DEADLINE_S)).order))

    async def list_(self, call: Call) -> models.OrderPage:
        request = pb.ListRequest(
            user_id=call.user_id,
            cursor=call.request.query_params.get("cursor", ""),
            limit=_limit(call),
        )
        page = await self._orders.List(request, timeout=DEADLINE_S)
        return models.OrderPage(
            orders=[translate.order(order) for order in page.orders], next_cursor=page.next_cursor or None
        )

    async def cancel(self, call: Call) -> models.OrderAnswer:
        request = pb.CancelRequest(
            order_id=call.request.path_params["order_id"],
            user_id=call.user_id,
            reason=call.parsed(models.CancelBody).reason or "by the customer",
        )
        return models.OrderAnswer(order=translate.order((await self._orders.Cancel(request, timeout=DEADLINE_S)).order))


def _reader_of(call: Call, order_id: str) -> str:
    """The user to ask as; empty when the token may read this very order."""
    subject = call.subject
    if subject is not None and subject.kind in ("order", "ops"):
        if subject.kind == "order" and subject.id != order_id:
            raise Forbidden("this tracking token is for another order")
        return ""
    return call.user_id


def _idempotency_key(call: Call) -> str:
    key = call.request.headers.get("idempotency-key", "")
    if not 8 <= len(key) <= 128:
        raise Invalid("Idempotency-Key", "send a header of 8 to 128 characters, the same one to try again")
    return key


def _limit(call: Call) -> int:
    limit = call.number("limit", 20)
    if not 1 <= limit <= 100:
        raise Invalid("limit", "must be 1 to 100")
    return limit
