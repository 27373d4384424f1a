"""A solver that fails in a running city: greedy answers, metrics and decision record say so, no order is lost."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from dispatch.engine.matching import solve as solving
from dispatch.engine.matching.problem import Assigned, Problem, Solution
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import OrderId, OrderStatus
from dispatch.engine.params import EngineParams
from dispatch.shard.solver import InlineSolver
from tests.unit.dispatch.shard.memory_city import CITY, MemoryCity, status_of


def _raises(problem: Problem, params: EngineParams) -> Solution:
    raise RuntimeError("injected")


def _nonsense(problem: Problem, params: EngineParams) -> Solution:
    """Every order to the first rider, in trips of its own."""
    everyone = tuple(Assigned(0, (o,)) for o in range(len(problem.orders.ids)))
    return Solution(everyone, "optimal", 1, 0.0, "packing")


def _counted(cause: str) -> float:
    return REGISTRY.get_sample_value("forno_dispatch_fallbacks_total", {"city": CITY, "cause": cause}) or 0.0


async def _two_orders_offered(world: MemoryCity) -> list[str]:
    """A city with two riders and two orders ticks; the fallbacks that the records of both orders name."""
    runner = await world.owner()
    await world.online({1: (0, 0), 2: (20, 0)})
    for name in ("o-1", "o-2"):
        await world.open_order(name)
    await world.step(runner)
    assert [status_of(runner, o) for o in ("o-1", "o-2")] == [OrderStatus.OFFERED, OrderStatus.OFFERED]
    assert runner.city.counters.ticks_fallback == 1
    documents = [await world.decisions.explain(CITY, OrderId(o)) for o in ("o-1", "o-2")]
    return [json.loads(document)["fallback"] for (document,) in documents]


@pytest.mark.parametrize(
    ("cause", "strategy"), [("raised", _raises), ("nonsense", _nonsense)], ids=["raises", "nonsense"]
)
async def test_a_failing_strategy(
    cause: str, strategy: Callable[[Problem, EngineParams], Solution], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that raises, and one that answers nonsense."""
    monkeypatch.setitem(solving.STRATEGIES, "packing", strategy)
    before = _counted(cause)
    named = await _two_orders_offered(MemoryCity())
    assert all(fallback.startswith(cause) for fallback in named)
    assert _counted(cause) == before + 1


async def test_a_fallback_that_changes_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is on shift, so no tick has anything to commit; the strategy fails in each of them."""
    monkeypatch.setitem(solving.STRATEGIES, "packing", _raises)
    world = MemoryCity()
    runner = await world.owner()
    await world.open_order("o-1")
    await world.step(runner)
    before = (runner.city.counters.ticks_committed, _counted("raised"))
    await world.step(runner)
    assert (runner.city.counters.ticks_committed, _counted("raised")) == (before[0], before[1] + 1)
    assert runner.city.counters.ticks_fallback == 2


async def test_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall-clock guard fires: the solver process is answered for by greedy. The limit itself: `test_solver`."""

    async def guarded(self: InlineSolver, problem: Problem, params: EngineParams) -> Solution:
        return solve(problem, params, "wall clock")

    monkeypatch.setattr(InlineSolver, "solve", guarded)
    before = _counted("wall clock")
    assert await _two_orders_offered(MemoryCity()) == ["wall clock", "wall clock"]
    assert _counted("wall clock") == before + 1
