"""A city of two owners lived by asynchronous ticks over a failing worker, and run again by synchronous ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pytest

from dispatch.engine.eta.calibration import Stage
from dispatch.engine.eta.estimate import EtaQuestion, estimate, planned
from dispatch.engine.eta.sequence import Sequencing
from dispatch.engine.matching.problem import Problem, Solution
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import Offer, OrderId, OrderStatus, Rider, StopKind
from dispatch.engine.notes import NoteKind
from dispatch.engine.params import EngineParams, PatienceParams
from dispatch.engine.ports import TravelTimes
from dispatch.engine.questions import Estimates, StopSequences
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import LearnedTravel
from dispatch.recording.recording import RecordedTick, Recording
from dispatch.recording.rerun import RerunTick, rerun
from dispatch.shard.runner import CityRunner
from dispatch.shard.solver import InlineSolver
from proto.dispatch.v1 import city_event_pb2
from proto.tracking.v1 import rider_link_pb2 as link
from tests.unit.dispatch.recording.recorded_city import recording_of
from tests.unit.dispatch.shard.memory_city import CITY, MemoryCity

TRAVEL: Final[dict[str, TravelTimes]] = {"free flow": FreeFlowTravel(), "learned": LearnedTravel.ignorant()}
RIDERS: Final = range(1, 7)
#: Of 20 s each: long enough for lessons to be stored by each owner.
STEPS_AN_OWNER: Final = 50
STEP_MS: Final = 20_000


class FailingSolver(InlineSolver):
    """Answers now and then as a shard whose worker is too slow: greedy solves, plans tell ETAs."""

    def __init__(self, travel: TravelTimes, seed: int) -> None:
        super().__init__(travel)
        self._rng = np.random.default_rng(seed)

    async def solve(self, problem: Problem, params: EngineParams) -> Solution:
        return solve(problem, params, "wall clock" if self._rng.random() < 0.1 else "")

    async def etas(self, travel: TravelTimes, asked: EtaQuestion, params: EngineParams) -> Estimates:
        if self._rng.random() < 0.1:
            return Estimates(planned(asked), "wall clock")
        return Estimates(estimate(asked, travel, params))


class LateSearch(InlineSolver):
    """Never finds an order of stops in time."""

    async def sequence_stops(self, asked: Sequence[Sequencing]) -> StopSequences:
        return StopSequences.as_planned(len(asked), "wall clock")


@dataclass(slots=True)
class Townspeople:
    """Riders and customers who do what a seed makes them do."""

    world: MemoryCity
    rng: np.random.Generator
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    orders: int = 0

    async def live(self, runner: CityRunner) -> None:
        """One step of everybody, as the owner's memory lets them."""
        state, rng = runner.city.state, self.rng
        for rider_id, (north, east) in self.places.items():
            self.places[rider_id] = (north + int(rng.integers(-1, 2)), east + int(rng.integers(-1, 2)))
        await self.world.fix(self.places)
        if rng.random() < 0.25:
            self.orders += 1
            await self.world.open_order(f"o-{self.orders}", door=(int(rng.integers(1, 30)), 3))
        for offer in state.offers.values():
            if rng.random() < 0.8:
                await self._reply(offer, accepted=bool(rng.random() < 0.8))
        for rider in state.riders.values():
            if rider.stops and rng.random() < 0.6:
                await self._go_on(rider)

    async def _reply(self, offer: Offer, *, accepted: bool) -> None:
        reply = link.OfferReply(offer_id=offer.offer_id, accepted=accepted, ts_ms=self.world.clock.domain_ms())
        replied = city_event_pb2.RiderReplied(rider_id=offer.rider_id, session=1, reply=reply)
        await self.world.event(rider_replied=replied)

    async def _go_on(self, rider: Rider) -> None:
        """The next thing that the rider's plan asks of it."""
        stop = rider.stops[0]
        status = link.RIDER_STATUS_PICKED_UP if rider.arrived else link.RIDER_STATUS_ARRIVED
        if stop.kind is StopKind.DROP:
            status = link.RIDER_STATUS_DELIVERED
        await self.world.status(rider.rider_id, status, stop.order_ids[0])


async def lived(seed: int, travel: TravelTimes) -> MemoryCity:
    """A city after two owners; the second one found what the first had stored."""
    world = MemoryCity(solver=FailingSolver(travel, seed))
    places = {rider_id: (rider_id, -rider_id) for rider_id in RIDERS}
    await world.online(places)
    people = Townspeople(world, np.random.default_rng(seed), places)
    for epoch in (1, 2):
        runner = await world.owner(epoch)
        for _ in range(STEPS_AN_OWNER):
            await people.live(runner)
            await world.step(runner, STEP_MS)
    return world


def run_again(recording: Recording, travel: TravelTimes) -> list[RerunTick]:
    """By the models that its ticks name."""

    def travel_of(version: str) -> TravelTimes:
        if version == travel.version:
            return travel
        return LearnedTravel.unpacked(recording.models[version])

    return list(rerun(recording, travel_of))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", TRAVEL)
async def test_both_drivers_make_the_same_of_it(kind: str, seed: int) -> None:
    """Every tick decides the same bytes, tells the same ETAs and tracks, and learns the same for the next."""
    world = await lived(seed, TRAVEL[kind])
    recording = recording_of(world)
    ticks = run_again(recording, TRAVEL[kind])
    assert [(tick.recorded.tick, tick.differs) for tick in ticks if tick.differs] == []
    assert all(tick.tracks_compared for tick in ticks)
    bases = [basis for tick in ticks for basis in (*tick.recorded.quiet, tick.recorded.basis)]
    assert len(bases) == 2 * STEPS_AN_OWNER
    assert len(bases) > len(ticks), "some ticks changed nothing"
    assert sum(basis.renewed for basis in bases) >= 2
    assert [bool(basis.lesson) for basis in bases if basis.lesson is not None] == [False, True]
    assert any(basis.solver_fallback for basis in bases)
    assert any(basis.eta_fallback for basis in bases)
    assert sum(len(tick.computed.tracks.outcomes) for tick in ticks) >= 5
    assert (len({basis.travel_version for basis in bases}) > 1) is (kind == "learned")


async def test_a_stretch_may_begin_anywhere_in_an_owners_time() -> None:
    """Its start holds turns, ETAs and lessons under way, to the last bit."""
    world = await lived(4, TRAVEL["learned"])
    recording = recording_of(world)
    commits = world.decisions.commits(CITY)
    later = [commit for commit in commits if commit.checkpoint is not None and commit.basis.lesson is None]
    assert later
    assert later[0].checkpoint is not None
    ticks = [tick for tick in recording.ticks if tick.tick >= later[0].tick]
    stretch = Recording(
        **{name: getattr(recording, name) for name in recording.__slots__}
        | {"ticks": ticks, "start": later[0].checkpoint.body, "events_offset": later[0].checkpoint.events_offset}
    )
    assert [tick.differs for tick in run_again(stretch, TRAVEL["learned"]) if tick.differs] == []


async def past_the_near_door(solver: InlineSolver) -> tuple[MemoryCity, list[str]]:
    """A rider with two orders on board rides past the near door to the far one; the doors of its plan then."""
    world = MemoryCity(solver=solver)
    await world.online({1: (0, 0)})
    await world.open_order("near", door=(10, 0))
    await world.open_order("far", door=(30, 0))
    runner = await world.owner()
    await world.step(runner)
    await world.reply(runner, accepted=True)
    await world.step(runner)
    for status in (link.RIDER_STATUS_ARRIVED, link.RIDER_STATUS_PICKED_UP):
        await world.status(1, status, "near")
        await world.step(runner)
    await world.fix({1: (31, 0)})
    await world.step(runner)
    (rider,) = runner.city.state.riders.values()
    return world, [order_id for stop in rider.stops for order_id in stop.order_ids]


async def test_a_late_search_for_stops_is_run_again_as_it_was() -> None:
    """In time the far door comes first; late the plan stays, and does again by the recorded reason only."""
    _, in_time = await past_the_near_door(InlineSolver(FreeFlowTravel()))
    world, late = await past_the_near_door(LateSearch(FreeFlowTravel()))
    assert (in_time, late) == (["far", "near"], ["near", "far"])
    recording = recording_of(world)
    assert [tick.differs for tick in run_again(recording, TRAVEL["free flow"]) if tick.differs] == []
    forgotten = replace(recording, ticks=[_without_reason(tick) for tick in recording.ticks])
    assert any(tick.differs for tick in run_again(forgotten, TRAVEL["free flow"]))


def _without_reason(tick: RecordedTick) -> RecordedTick:
    quiet = tuple(replace(basis, stops_fallback="") for basis in tick.quiet)
    return replace(tick, stops_fallback="", quiet=quiet)


async def impatient_city() -> tuple[MemoryCity, CityRunner]:
    """A city with nobody on shift; an order is opened, and cancelled in the very tick in which it would time out."""
    world = MemoryCity(params=EngineParams(patience=PatienceParams(nobody_s=600.0)))
    await world.open_order("o-1")
    runner = await world.owner()
    await world.step(runner)
    await world.event(order_cancelled=city_event_pb2.OrderCancelled(order_id="o-1"))
    await world.step(runner, 600_000)
    return world, runner


async def test_live_inputs_come_first_and_tracks_last() -> None:
    """The customer is quoted in the tick that opens the order, and has cancelled it before it can fail."""
    _, runner = await impatient_city()
    track = runner.city.committed.memory.tracks[OrderId("o-1")]
    assert [quote.stage for quote in track.quotes] == [Stage.OPEN]
    assert [event.state for event in track.events] == [OrderStatus.OPEN, OrderStatus.CANCELLED]


async def test_run_again_inputs_come_first_and_tracks_last() -> None:
    """The same of the recording."""
    world, _ = await impatient_city()
    opened, cancelled = (tick.computed for tick in run_again(recording_of(world), TRAVEL["free flow"]))
    assert [quote.stage for track in opened.tracks.tracks for quote in track.quotes] == [Stage.OPEN]
    assert [note.kind for note in cancelled.notes] == [NoteKind.CANCELLED]
    assert cancelled.tracks.tracks[0].events[-1].state is OrderStatus.CANCELLED
