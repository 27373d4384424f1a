"""A living city recorded and run again: `forno log dump`, then the engine on what it wrote."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stack.stack import LocalStack
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.recording import dump
from dispatch.recording.recording import read_recording, write_recording
from dispatch.recording.rerun import rerun
from proto.tracking.v1 import rider_link_pb2 as link
from tests.integration.dispatch_world import DispatchWorld, dispatch_world
from tests.integration.test_dispatch import deliver
from tests.integration.verbs import forno_here


async def live_a_little(world: DispatchWorld, city: str, numbers: range) -> None:
    """Riders come, one declines, orders are delivered."""
    for rider in (1, 2, 3):
        await world.status(city, rider, link.RIDER_STATUS_ONLINE, capacity=2)
    await world.fixes(city, {1: (0, 1), 2: (0, 30), 3: (5, 5)})
    for number in numbers:
        order_id = await world.open_order(city, number, restaurant=(0, 0), door=(10, 0))
        offer = await world.offer_for(city, order_id)
        await world.reply(city, offer, accepted=False)
        async with asyncio.timeout(30):
            while (await world.offer_for(city, order_id)).offer.offer_id == offer.offer.offer_id:
                pass  # Each look is a call.
        await deliver(world, city, order_id)


async def test_a_recorded_city_decides_the_same_again(
    stack: LocalStack,
    fresh_database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every tick of two owners, a kill in between, is decided byte for byte as it was, and tells the same ETAs and
    tracks; a changed log is noticed."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world:
        for name in ("FORNO_POSTGRES_URL", "FORNO_CORE_DATABASE", "FORNO_KAFKA_URL"):
            monkeypatch.setenv(name, world.env[name])
        (city,) = world.cities
        async with world.shard("shard-a") as shard:
            await live_a_little(world, city, range(1, 2))
            await shard.kill()
        async with world.shard("shard-b"):
            await live_a_little(world, city, range(2, 3))
        file = tmp_path / "city.forno"
        code, printed, said = await forno_here(capsys, "log", "dump", city, str(file), "--json")
        assert (code, json.loads(printed or "{}").get("city")) == (0, city), said
        recording = read_recording(file)
        travel = FreeFlowTravel()
        ticks = list(rerun(recording, lambda _: travel))
        assert [(t.recorded.tick, t.differs) for t in ticks if t.differs] == []
        assert all(t.tracks_compared for t in ticks)
        assert sum(len(t.computed.fresh) for t in ticks) >= 4
        assert len([outcome for t in ticks for outcome in t.computed.tracks.outcomes]) == 2
        assert any(t.recorded.quiet for t in ticks)
        assert len({t.recorded.epoch for t in ticks}) == 2
        bases = [basis for t in ticks for basis in (*t.recorded.quiet, t.recorded.basis)]
        assert sum(basis.owner_began is not None for basis in bases) == 2
        assert sum(len(t.computed.decisions.offers) for t in ticks) >= 4
        code, _, said = await forno_here(capsys, "log", "dump", "nowhere", str(file))
        assert (code, "no tick of a city 'nowhere'" in said) == (1, True)
        monkeypatch.setattr(dump, "MAX_TICKS", len(ticks) - 1)
        code, _, said = await forno_here(capsys, "log", "dump", city, str(file))
        assert (code, "ask for fewer with --minutes" in said) == (1, True)
    policy = tmp_path / "policy.json"
    policy.write_text('{"solver": {"strategy": "greedy"}}')
    code, printed, said = await forno_here(capsys, "replay", "--log", str(file), "--params", str(policy), "--json")
    report = json.loads(printed or "{}")
    assert (code, said, report["ticks_identical"]) == (0, "", len(ticks))
    assert report["ticks_told_not_compared"] == 0
    assert report["regret"]["delivered"] == {"recorded": 2, "same_policy": 2, "other_policy": 2, "difference": 0}
    first = next(n for n, tick in enumerate(ticks) if tick.computed.decisions.offers)
    forged = replace(recording.ticks[first], now_ms=recording.ticks[first].now_ms + 1)
    write_recording(file, replace(recording, ticks=[*recording.ticks[:first], forged]))
    code, printed, _ = await forno_here(capsys, "replay", "--log", str(file), "--json")
    assert (code, json.loads(printed)["different"][0]["tick"]) == (1, forged.tick)
