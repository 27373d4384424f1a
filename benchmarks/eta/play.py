"""A city's history, in which everything is learned as it happens, and the held-back days that are judged."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.eta.desk import Desk, Desks, Judged, Leg, new_desks
from benchmarks.eta.world import Day, World, WorldParams
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.road import RoadTravel
from simulator.drive.alone import Alone


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one city. `learned` says what stood in the learned model when the held-back days began."""

    city: str
    seed: int
    judged: tuple[Judged, ...]
    legs: tuple[Leg, ...]
    weather: dict[str, str]
    learned: dict[str, object]
    cpu_s: float


def play_city(world_params: WorldParams, history: int, held_back: int) -> Played:
    """Plays `history` ordinary working days in turn, then each held-back day as if it were the next one.

    A held-back day goes on learning while it lasts, as a shard does, and knows nothing of the other held-back days.
    """
    began_s = time.process_time()
    world, params = World(world_params), EngineParams()
    desks = new_desks(RoadTravel(world.network))
    for number in range(history):
        _play(world.day(number, held_back=False), desks, params)
    judged: list[Judged] = []
    legs: list[Leg] = []
    weather: dict[str, str] = {}
    for number in range(held_back):
        day = world.day(history + number, held_back=True)
        seen = _play(day, [_as_of_now(desk) for desk in desks], params)
        judged += seen.judged
        legs += seen.legs
        weather[day.name] = _in_words(day)
    return Played(
        world_params.city,
        world_params.seed,
        tuple(judged),
        tuple(legs),
        weather,
        _learned(desks),
        time.process_time() - began_s,
    )


def _play(day: Day, desks: list[Desk], params: EngineParams) -> Desks:
    seen = Desks(desks, params, day)
    Alone(day.city, params, seen, day.begin_ms).run(day.end_ms, day.orders_until_ms)
    return seen


def _as_of_now(desk: Desk) -> Desk:
    return Desk(desk.name, desk.travel, copy.deepcopy(desk.learning), desk.knows_riders, desk.calibrated)


def _in_words(day: Day) -> str:
    rain = ", ".join(f"{(r.off_ms - r.on_ms) / 3_600_000:.1f} h rain x{r.slow:.2f}" for r in day.weather.rain)
    return f"{rain or 'dry'}; {len(day.weather.closures)} closures; {len(day.slow_riders)} slow riders"


def _learned(desks: Sequence[Desk]) -> dict[str, object]:
    travel = desks[0].learning.travel
    model = travel.model()
    return {
        "cells": len(travel.sums.cells),
        "hours_driven": round(float(travel.sums.spent_s.sum()) / 3600, 1),
        "paces_by_hour_utc_monday": [round(float(p), 2) for p in model.paces[-1, :24]],
        "leg_start_s": model.legs.start_s,
        "leg_stretch": model.legs.stretch,
        "leg_turns": list(model.legs.turns),
        "bands": {stage: [band.mid, band.high] for stage, band in desks[0].learning.calibration.bands.items()},
    }
