"""Operations of restaurants: read the board, answer orders, choose whether to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.clock import Clock
from node.errors import Invalid
from orders.errors import UnknownOrder
from orders.ids import checked_order_id
from orders.kitchen.answers import Accept, Answer, ReadyIn, Reject, apply_answer
from orders.kitchen.known_kitchens import KnownKitchens
from orders.kitchen.metrics import KITCHEN_ANSWERS
from orders.kitchen.model import Kitchen
from orders.kitchen.pace import Pace
from orders.kitchen.ports import KitchenStore
from orders.model import Order
from orders.ordering.basket import MAX_PREPARATION_S, MAX_RESTAURANT_ID
from orders.ordering.events import Change
from orders.ordering.store import OrderStore
from orders.ranges import ByRange
from orders.text_checks import checked_reason, checked_text

#: Tickets on a board; a kitchen with more is told so.
MAX_TICKETS = 200


@dataclass(frozen=True, slots=True)
class Board:
    """Open orders of a kitchen, oldest first, and its settings."""

    tickets: list[Order]
    more: bool
    auto_accept: bool
    pace: Pace


@dataclass(frozen=True, slots=True)
class KitchenService:
    """Checks, decides, stores. A kitchen reaches its own orders only."""

    stores: ByRange[OrderStore]
    kitchens: KitchenStore
    known: KnownKitchens
    clock: Clock
    #: Raises `Invalid` for a city that is not served.
    check_city: Callable[[str], object]

    async def board(self, kitchen: Kitchen) -> Board:
        """The kitchen's board, as last committed."""
        self._check(kitchen)
        tickets = await self.kitchens.tickets(kitchen, MAX_TICKETS + 1)
        known = await self.known.known(kitchen)
        pace = known.pace(self.clock.domain_ms())
        return Board(tickets[:MAX_TICKETS], len(tickets) > MAX_TICKETS, known.auto_accept, pace)

    async def answer(self, kitchen: Kitchen, order_id: str, answer: Answer) -> tuple[Order, bool]:
        """The order after the answer, and whether that changed anything."""
        self._check(kitchen)
        known, checked = checked_order_id(order_id), _checked(answer)
        before = 0

        def decide(order: Order) -> Change:
            nonlocal before
            if (order.basket.city, order.basket.restaurant.restaurant_id) != (kitchen.city, kitchen.restaurant_id):
                raise UnknownOrder(known)
            before = order.version
            return apply_answer(order, checked, self.clock.domain_ms())

        order = await self.stores.of_order(known).change(known, decide)
        changed = order.version != before
        KITCHEN_ANSWERS.labels(type(answer).__name__, "changed" if changed else "repeated").inc()
        return order, changed

    async def configure(self, kitchen: Kitchen, auto_accept: bool) -> None:
        """Whether the kitchen takes orders without being asked, from now on."""
        self._check(kitchen)
        await self.kitchens.choose_auto_accept(kitchen, auto_accept)
        self.known.forget(kitchen)

    def _check(self, kitchen: Kitchen) -> None:
        self.check_city(kitchen.city)
        checked_text("restaurant_id", kitchen.restaurant_id, MAX_RESTAURANT_ID)


def _checked(answer: Answer) -> Answer:
    match answer:
        case Accept(seconds):
            _check_seconds("accept.preparation_s", seconds)
        case ReadyIn(seconds):
            _check_seconds("ready_in.seconds", seconds)
        case Reject(reason):
            return Reject(checked_reason(reason))
    return answer


def _check_seconds(field: str, seconds: int) -> None:
    if not 0 <= seconds <= MAX_PREPARATION_S:
        raise Invalid(field, f"0..{MAX_PREPARATION_S} seconds", reason="OUT_OF_RANGE")
