"""A living city learns, stores it before it goes by it, and the next owner goes on from there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from dispatch.engine.eta.calibration import Calibration, Stage
from dispatch.engine.model import OrderId
from dispatch.engine.travel.learned import LearnedTravel
from dispatch.shard.adapters.lessons import MemoryLessonStore
from dispatch.shard.lessons import STORE_EVERY_MS, Lesson, Lessons
from dispatch.shard.runner import CityRunner
from dispatch.shard.solver import InlineSolver
from node.errors import Retryable
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.topology import Ownership
from tests.unit.dispatch.shard.memory_city import CITY, MemoryCity


async def ride(world: MemoryCity, runner: CityRunner, looks: int) -> None:
    """A rider goes to and fro, 110 m in 15 s; a tick each time."""
    for i in range(looks):
        await world.fix({1: (i % 20 if i % 40 < 20 else 20 - i % 20, 0)})
        await world.step(runner, 15_000)


async def learning_owner(world: MemoryCity, epoch: int = 1) -> CityRunner:
    """An owner that goes by what it learns."""
    runner = await world.owner(epoch)
    runner.ticker._lessons._travels = True
    return runner


async def test_a_model_is_stored_before_a_tick_goes_by_it() -> None:
    """Ten minutes after the city was taken; the tick's record names the version that the store has."""
    world = MemoryCity()
    await world.online({1: (0, 0)})
    runner = await learning_owner(world)
    await ride(world, runner, 60)
    model = runner.city.committed.memory.travel
    assert model is not None
    assert (CITY, model.version) in world.lessons.models
    await world.open_order("o-1")
    await world.step(runner, 15_000)
    record = world.decisions._cities[CITY].ticks[runner.city.committed.tick]
    assert record.basis.travel_version == runner.city.committed.memory.travel.version  # type: ignore[union-attr]
    assert (
        LearnedTravel.unpacked(world.lessons.models[CITY, record.basis.travel_version]).version
        == record.basis.travel_version
    )


async def test_the_next_owner_goes_on_from_there() -> None:
    """The same model from its first tick on, and what was known of quotes."""
    world = MemoryCity()
    await world.online({1: (0, 0)})
    old = await learning_owner(world)
    await ride(world, old, 60)
    new = await learning_owner(world, epoch=2)
    assert new.city.committed.memory.travel is None
    await world.step(new)
    assert old.city.committed.memory.travel is not None
    assert new.city.committed.memory.travel is not None
    assert new.city.committed.memory.travel.version == world.lessons.lessons[CITY].version
    assert (
        new.city.committed.memory.learning.travel_learner.sums.cells.tolist()
        == old.city.committed.memory.learning.travel_learner.sums.cells.tolist()
    )


async def test_a_delivery_teaches_each_stage_it_was_quoted_in() -> None:
    """Quoted when it was opened, accepted and picked up; the bands of all three have moved."""
    world = MemoryCity()
    await world.online({1: (0, 1)})
    await world.open_order("o-1")
    runner = await world.owner()
    await world.step(runner)
    quote = runner.city.committed.memory.etas[OrderId("o-1")].quote
    assert quote is not None
    assert quote.stage is Stage.OPEN
    await world.reply(runner, accepted=True)
    await world.step(runner)
    for status in (link.RIDER_STATUS_ARRIVED, link.RIDER_STATUS_PICKED_UP, link.RIDER_STATUS_DELIVERED):
        await world.status(1, status, "o-1")
        await world.step(runner)
    assert {q.stage for q in runner.city.committed.memory.tracks[OrderId("o-1")].quotes} == set(Stage)
    learned = runner.city.committed.memory.learning.calibration
    assert all(learned.band(stage) != Calibration().band(stage) for stage in Stage)


class _Away(MemoryLessonStore):
    """Postgres is away for storing."""

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        raise Retryable("away")


async def test_without_the_store_the_old_model_goes_on() -> None:
    """Nothing is decided by a model that no replay could find."""
    world = MemoryCity(lessons=_Away())
    await world.online({1: (0, 0)})
    runner = await learning_owner(world)
    await ride(world, runner, 60)
    assert runner.city.committed.memory.travel is None
    assert runner.city.counters.fixes_applied > 50


async def test_what_cannot_be_read_is_learned_anew() -> None:
    """A broken lesson ends nothing."""
    world = MemoryCity()
    world.lessons.lessons[CITY] = Lesson(b"rubbish", "learned-x", b"rubbish")
    runner = await learning_owner(world)
    await world.step(runner)
    assert runner.city.committed.memory.travel is None


@pytest.mark.parametrize(("kind", "learns"), [(LearnedTravel.ignorant(), True), (None, False)])
async def test_only_where_it_is_asked_for(kind: LearnedTravel | None, learns: bool) -> None:
    """With another travel model lessons are stored too, but none replaces it."""
    world = MemoryCity()
    await world.online({1: (0, 0)})
    runner = await world.owner()
    solver = InlineSolver(kind) if kind is not None else runner.dependencies.solver
    by_them = isinstance(solver.travel_of(CITY), LearnedTravel)
    assert by_them is learns
    dependencies = replace(runner.dependencies, solver=solver)
    lessons = Lessons(runner.city, dependencies.lessons, world.clock, structlog.get_logger(), travels_by_them=by_them)
    await lessons.before()
    world.clock.advance(STORE_EVERY_MS)
    await lessons.before()
    assert (world.lessons.lessons[CITY].version != "") is learns
    assert (runner.city.committed.memory.travel is not None) is learns
