"""A city whose database refuses some orders."""

from __future__ import annotations

from dispatch.shard.adapters.memory import MemoryDecisionLog
from dispatch.shard.ports import TickCommit
from dispatch.shard.runner import CityRunner
from node.postgres import DataAtFault
from tests.unit.dispatch.shard.memory_city import MemoryCity


class PickyLog(MemoryDecisionLog):
    """A database that refuses some orders, or everything."""

    def __init__(self, *orders: str) -> None:
        super().__init__()
        self._orders = set(orders)
        self.refuses_all = False

    async def commit(self, tick: TickCommit) -> None:
        if self.refuses_all or self._orders & {order.order_id for order in tick.changes.orders}:
            raise DataAtFault("orders", "a constraint is broken")
        await super().commit(tick)


async def ticked(world: MemoryCity, runner: CityRunner, ticks: int) -> None:
    """So many ticks, as they come by themselves."""
    await world.read(runner)
    for _ in range(ticks):
        world.clock.advance(1000)
        await runner.ticker._guarded_tick()
