"""Play a city's history, learning as it happens, then score quotes on held-back days."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.eta.quotes import Leg, QuotingModel, QuotingModels, ScoredQuote, new_models
from benchmarks.eta.simulated_days import Day, SimulatedDays, WorldParams
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.road import RoadTravel
from simulator.drive.engine_only import EngineOnlyCity


@dataclass(frozen=True, slots=True)
class Played:
    """Figures of one city. `learned` says what stood in the learned model when the held-back days began."""

    city: str
    seed: int
    judged: tuple[ScoredQuote, ...]
    legs: tuple[Leg, ...]
    weather: dict[str, str]
    learned: dict[str, object]
    cpu_s: float


def score_city(world_params: WorldParams, history: int, held_back: int) -> Played:
    """Plays `history` ordinary working days in turn, then each held-back day as if it were the next one.

    A held-back day goes on learning while it lasts, as a shard does, and knows nothing of the other held-back days.
    """
    began_s = time.process_time()
    world, params = SimulatedDays(world_params), EngineParams()
    models = new_models(RoadTravel(world.network))
    for number in range(history):
        _play(world.day(number, held_back=False), models, params)
    judged: list[ScoredQuote] = []
    legs: list[Leg] = []
    weather: dict[str, str] = {}
    for number in range(held_back):
        day = world.day(history + number, held_back=True)
        seen = _play(day, [_as_of_now(model) for model in models], params)
        judged += seen.judged
        legs += seen.legs
        weather[day.name] = _in_words(day)
    return Played(
        world_params.city,
        world_params.seed,
        tuple(judged),
        tuple(legs),
        weather,
        _learned(models),
        time.process_time() - began_s,
    )


def _play(day: Day, models: list[QuotingModel], params: EngineParams) -> QuotingModels:
    seen = QuotingModels(models, params, day)
    EngineOnlyCity(day.city, params, seen, day.begin_ms).run(day.end_ms, day.orders_until_ms)
    return seen


def _as_of_now(model: QuotingModel) -> QuotingModel:
    return QuotingModel(model.name, model.travel, copy.deepcopy(model.learning), model.knows_riders, model.calibrated)


def _in_words(day: Day) -> str:
    rain = ", ".join(f"{(r.off_ms - r.on_ms) / 3_600_000:.1f} h rain x{r.slow:.2f}" for r in day.weather.rain)
    return f"{rain or 'dry'}; {len(day.weather.closures)} closures; {len(day.slow_riders)} slow riders"


def _learned(models: Sequence[QuotingModel]) -> dict[str, object]:
    travel = models[0].learning.travel_learner
    model = travel.model()
    return {
        "cells": len(travel.sums.cells),
        "hours_driven": round(float(travel.sums.spent_s.sum()) / 3600, 1),
        "paces_by_hour_utc_monday": [round(float(p), 2) for p in model.paces[-1, :24]],
        "leg_start_s": model.legs.start_s,
        "leg_stretch": model.legs.stretch,
        "leg_turns": list(model.legs.turns),
        "bands": {stage: [band.mid, band.high] for stage, band in models[0].learning.calibration.bands.items()},
    }
