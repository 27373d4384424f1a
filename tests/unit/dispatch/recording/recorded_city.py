"""A city in memory as a recording."""

from __future__ import annotations

from dispatch.engine.codec import to_plain
from dispatch.recording.recording import Message, RecordedTick, Recording
from dispatch.shard.ports import TickCommit
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, MemoryCity


def recording_of(world: MemoryCity) -> Recording:
    """The recording that `forno log dump` would write."""
    commits = list(world.decisions.commits(CITY))
    first = commits[0]
    assert first.checkpoint is not None
    return Recording(
        city=CITY,
        incarnation=world.log.incarnation,
        partition=PARTITION,
        default_capacity=3,
        events_offset=first.checkpoint.events_offset,
        params={"p": to_plain(world.params)},
        start=first.checkpoint.body,
        ticks=[_recorded(commit) for commit in commits],
        pings=[Message(n, value) for n, value in enumerate(world.log.pings.get(PARTITION, []))],
        events=[Message(n, value) for n, value in enumerate(world.log.events[PARTITION])],
        models={version: body for (_, version), body in world.lessons.models.items()},
        lessons=world.lessons.begun_with,
    )


def _recorded(commit: TickCommit) -> RecordedTick:
    basis, digests = commit.basis, commit.digests
    return RecordedTick(
        tick=commit.tick,
        epoch=commit.ownership.epoch,
        now_ms=basis.now_ms,
        pings_offset=basis.pings_offset,
        events_offset=basis.events_offset,
        params_digest="p",
        travel_version=basis.travel_version,
        fallback=basis.solver_fallback,
        problem_digest=digests.problem,
        solution_digest=digests.solution,
        decisions_digest=digests.decisions,
        ignored=commit.ignored,
        promises_digest=digests.etas_and_tracks,
        eta_fallback=basis.eta_fallback,
        renewed=basis.renewed,
        lesson=basis.lesson,
        quiet=commit.quiet,
        stops_fallback=basis.stops_fallback,
        owner_began=basis.owner_began,
        passed_over=commit.passed_over,
    )
