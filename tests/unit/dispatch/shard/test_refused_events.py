"""An event that only the database refuses: it is found and set aside, and all others are taken."""

from __future__ import annotations

import pytest

from dispatch.engine.model import OrderId
from dispatch.shard.adapters.memory import MemoryDecisionLog
from dispatch.shard.ports import TickCommit
from dispatch.shard.suspect_events import SuspectEvents
from node.postgres import DataAtFault
from tests.unit.dispatch.shard.memory_city import PARTITION, MemoryCity
from tests.unit.dispatch.shard.picky_log import PickyLog, ticked

#: Enough to find two of nine, whatever their places.
TICKS = 14


@pytest.mark.parametrize("bad", [{0}, {4}, {8}, {0, 1}, {3, 8}, {7, 8}], ids=str)
async def test_the_city_goes_on_without_what_the_database_refuses(bad: set[int]) -> None:
    """Wherever it lies among others that came with it, and if it is not the only one."""
    names = [f"o-{number}" for number in range(9)]
    world = MemoryCity(decisions=PickyLog(*(names[number] for number in bad)))
    runner = await world.owner()
    ids = [await world.open_order(name) for name in names]
    await ticked(world, runner, TICKS)
    assert world.log.set_aside == {ids[number]: "orders: a constraint is broken" for number in bad}
    assert {name for name in names if OrderId(name) in runner.city.state.orders} == {
        name for number, name in enumerate(names) if number not in bad
    }
    assert runner.city.committed.taken_offset == len(world.log.events[PARTITION])
    assert not runner.city.ingested.waiting


async def test_what_is_refused_without_any_event_is_no_events_fault() -> None:
    """The tick fails, and with it the city, which is loaded anew; nothing is set aside."""
    decisions = PickyLog()
    world = MemoryCity(decisions=decisions)
    runner = await world.owner()
    await world.open_order("o-1")
    decisions.refuses_all = True
    with pytest.raises(DataAtFault):
        await ticked(world, runner, 3)
    assert world.log.set_aside == {}
    assert len(runner.city.ingested.waiting) == 1


class RestlessLog(MemoryDecisionLog):
    """A database that refuses one tick with orders, for a reason that passes by itself."""

    refusals = 1

    async def commit(self, tick: TickCommit) -> None:
        if tick.changes.orders and self.refusals:
            self.refusals -= 1
            raise DataAtFault("orders", "a constraint is broken")
        await super().commit(tick)


@pytest.mark.parametrize("orders", [2, 8, 9])
async def test_a_refusal_that_passes_accuses_no_event(orders: int) -> None:
    """All events are stored by and by, the last of them alone, and none is set aside."""
    world = MemoryCity(decisions=RestlessLog())
    runner = await world.owner()
    for number in range(orders):
        await world.open_order(f"o-{number}")
    await ticked(world, runner, TICKS)
    assert world.log.set_aside == {}
    assert len(runner.city.state.orders) == orders
    assert not runner.city.ingested.waiting


@pytest.mark.parametrize("events", range(1, 40))
def test_halving_ends_soon(events: int) -> None:
    """Whichever event is at fault, it is found within as many ticks as halving takes, one alone, and one without."""
    for guilty in range(events):
        suspects, first, ticks = SuspectEvents(), 0, 0
        suspects.refused(events, "why")
        while True:
            taken = suspects.limit(5000)
            ticks += 1
            if first <= guilty < first + taken:
                suspects.refused(taken, "why")
            elif suspects.stored(taken):
                break
            else:
                first += taken
        assert first == guilty
        assert ticks <= events.bit_length() + 2
        assert suspects.limit(5000) == 5000
