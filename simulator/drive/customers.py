"""Customers over HTTP: each order is placed at its time, once, however often it must be tried."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from node.clock import Clock
from node.retry import Policy, warned
from simulator.city.customers import Demand, OrderDraft
from simulator.city.kitchen import Pass
from simulator.city.model import OrderId
from simulator.drive.tokens import Tokens

#: Orders on their way to the gateway at once; the next customer waits.
_AT_ONCE = 16
#: An answer that may be another one in a moment.
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as the gateway answered for it."""

    order_id: OrderId
    city: str
    live_url: str
    tracking_token: str
    #: Who cooks it, and when it will really be ready; domain milliseconds.
    restaurant_id: str = ""
    ready_ms: int = 0


class PlaceFailed(Exception):
    """The gateway refused the order, or could not be reached in the tries of `_AGAIN`."""


class _PlaceLater(PlaceFailed):
    """The gateway may take it in a moment."""


_AGAIN = Policy(0.25, 4.0, of=(_PlaceLater,), tries=6)


class CustomerDriver:
    """Places the orders of one city. Keep `refused` in sight: its keys are reasons."""

    def __init__(
        self,
        city: str,
        customers: Demand,
        counter: Pass,
        http: httpx.AsyncClient,
        tokens: Tokens,
        clock: Clock,
        on_placed: Callable[[PlacedOrder], None],
    ) -> None:
        self._city = city
        self._customers = customers
        self._counter = counter
        self._http = http
        self._tokens = tokens
        self._clock = clock
        self._on_placed = on_placed
        self._log = structlog.get_logger(part="customers", city=city)
        self.placed = 0
        self.refused: Counter[str] = Counter()

    async def run(self) -> None:
        """Orders until cancelled. Orders on their way are finished first: their answer must not be lost."""
        gate = asyncio.Semaphore(_AT_ONCE)
        under_way: set[asyncio.Task[None]] = set()
        try:
            while (due_ms := self._customers.due_ms()) is not None:
                await asyncio.sleep((self._clock.wall_of_domain_ms(due_ms) - self._clock.wall_ms()) / 1000)
                await gate.acquire()
                task = asyncio.create_task(self._place(self._customers.order()))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                task.add_done_callback(lambda _: gate.release())
        finally:
            if under_way:
                await asyncio.wait(under_way)

    async def _place(self, draft: OrderDraft) -> None:
        try:
            answer = await self._post(draft)
        except PlaceFailed as error:
            self.refused[str(error)] += 1
            self._log.warning("order refused", why=str(error))
            return
        order = PlacedOrder(
            OrderId(answer["order"]["order_id"]),
            self._city,
            answer["live_url"],
            answer["tracking_token"],
            draft.restaurant.restaurant_id,
            draft.ready_ms,
        )
        self._counter.expect(order.order_id, draft.ready_ms)
        self.placed += 1
        self._on_placed(order)

    async def _post(self, draft: OrderDraft) -> dict[str, Any]:
        """The same idempotency key each time: an answer lost on the way places no second order."""
        headers = {
            "authorization": f"Bearer {self._tokens.get('user', draft.user_id)}",
            "idempotency-key": draft.key,
        }

        async def post() -> dict[str, Any]:
            try:
                response = await self._http.post("/v1/orders", json=order_body(self._city, draft), headers=headers)
            except httpx.TransportError as error:
                raise _PlaceLater(type(error).__name__) from error
            if response.status_code == httpx.codes.CREATED:
                body: dict[str, Any] = response.json()
                return body
            raise (_PlaceLater if response.status_code in _LATER else PlaceFailed)(_reason(response))

        return await _AGAIN.until_done(post, warned(self._log, "order tried again"))


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["reason"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP_{response.status_code}"


def order_body(city: str, draft: OrderDraft) -> dict[str, Any]:
    """The JSON of POST /v1/orders."""
    restaurant = draft.restaurant
    return {
        "city": city,
        "restaurant": {
            "restaurant_id": restaurant.restaurant_id,
            "name": restaurant.name,
            "lat": restaurant.at.lat,
            "lng": restaurant.at.lng,
            "preparation_s": draft.preparation_s,
        },
        "dropoff": {"lat": draft.dropoff.lat, "lng": draft.dropoff.lng},
        "items": [
            {"sku": item.sku, "name": item.name, "quantity": item.quantity, "price_minor": item.price_minor}
            for item in draft.items
        ],
        "tip_minor": draft.tip_minor,
        "payment_token": draft.payment_token,
    }
