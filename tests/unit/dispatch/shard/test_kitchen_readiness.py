"""What a kitchen says moves the ETA: the very bytes that orders write, in the city that reads them."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.model import OrderId, OrderStatus
from dispatch.shard.runner import CityRunner
from orders.kitchen.answers import Accept, Answer, Ready, ReadyIn, apply_answer
from orders.model import KitchenTerms, Order, Position
from orders.ordering.adapters.codec import encode
from orders.ordering.events import Event
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, STEP_E7, MemoryCity, status_of
from tests.unit.dispatch.shard.worlds import DOWNTOWN
from tests.unit.orders.worlds import placed

MINUTE_MS = 60_000


class Kitchen:
    """A kitchen downtown with one order, and the city that hears of it."""

    def __init__(self) -> None:
        self.world = MemoryCity()
        counter = Position(DOWNTOWN.lat_e7, DOWNTOWN.lng_e7)
        order = placed().order
        restaurant = replace(order.basket.restaurant, at=counter)
        door = Position(counter.lat_e7 + 10 * STEP_E7, counter.lng_e7)
        basket = replace(order.basket, city=CITY, restaurant=restaurant, dropoff=door)
        now_ms = self.world.clock.domain_ms()
        asked = replace(order, basket=basket, kitchen=KitchenTerms(auto_accept=False))
        asked = replace(asked, placed_ms=now_ms, promised_ms=now_ms + 40 * MINUTE_MS)
        self.order: Order = step(asked, Signal(Trigger.AUTHORISE, now_ms)).order

    async def says(self, answer: Answer) -> None:
        """The kitchen answers; what that tells dispatch is in the city's log."""
        change = apply_answer(self.order, answer, self.world.clock.domain_ms())
        self.order = change.order
        await self.told(change.events)

    async def told(self, events: tuple[Event, ...]) -> None:
        """Only what goes to the city."""
        messages = [encode(event, self.world.clock.wall_ms()) for event in events]
        for message in messages:
            if message.topic == "city.events":
                await self.world.log.append_event(PARTITION, message.payload)

    def ready_ms(self, runner: CityRunner) -> int:
        """When dispatch believes that the food is ready."""
        return runner.city.state.orders[OrderId(self.order.order_id)].ready_ms

    async def told_eta_ms(self) -> int:
        """The ETA that dispatch told last."""
        messages = self.world.decisions.outbox_of(CITY).unsent
        events = [DispatchEvent.FromString(message.payload) for message in messages]
        return [event.assigned.eta_ms or event.eta_changed.eta_ms for event in events][-1]


async def test_a_later_kitchen_makes_the_eta_later_and_a_ready_one_earlier() -> None:
    """Accepted, assigned, twenty minutes later, then on the counter at once: the ETA follows both times."""
    kitchen = Kitchen()
    world = kitchen.world
    await world.online({1: (0, 1)})
    await kitchen.says(Accept(300))
    runner = await world.owner()
    await world.step(runner)
    while not runner.city.state.offers:
        await world.fix({1: (0, 1)})
        await world.step(runner, 10_000)
    await world.reply(runner, accepted=True)
    await world.step(runner)
    assert status_of(runner, kitchen.order.order_id) is OrderStatus.ASSIGNED
    before_ms = await kitchen.told_eta_ms()

    await kitchen.says(ReadyIn(1200))
    await world.step(runner)
    assert kitchen.ready_ms(runner) == kitchen.order.ready_ms
    later_ms = await kitchen.told_eta_ms()
    assert later_ms - before_ms > 10 * MINUTE_MS

    await kitchen.says(Ready())
    await world.step(runner)
    assert kitchen.ready_ms(runner) == kitchen.order.cooked_ms
    assert await kitchen.told_eta_ms() < later_ms - 10 * MINUTE_MS
