"""What is played: the two cities at dinner time. A scene is all that the servers must know before they start."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatch.travel.network import RoadNetwork
from node.clock import SystemClock
from simulator.city.scenario import City
from simulator.demo.options import Options
from simulator.demo.screen import Screen
from simulator.demo.town import SHARES, start_of_evening, two_cities
from simulator.roads import grid
from simulator.roads.fetch import basemap_of, default_cache_dir, ensure_artefact

EVENING_ZONE = ZoneInfo("America/Santiago")


@dataclass(frozen=True, slots=True)
class Scene:
    """A play: its cities by slug, its clock, settings of the services, and its people, made for a domain time."""

    cities: tuple[str, ...]
    zone: ZoneInfo
    clock: SystemClock
    #: Settings of the services beside the clock, the cities and the parameters.
    settings: Mapping[str, str]
    #: EngineParams fields that differ from the defaults.
    params: Mapping[str, object]
    people: Callable[[int], tuple[City, ...]]
    #: Domain time at which the last order is long over; None: the play has no end.
    ends_ms: int | None = None


async def evening(options: Options, screen: Screen) -> Scene:
    """Dinner in La Serena and Coquimbo, on their roads."""
    path = await asyncio.to_thread(ensure_artefact, default_cache_dir(), screen.say)
    network = await asyncio.to_thread(RoadNetwork.load, path)
    if network.source == grid.SOURCE:
        screen.complain("The real roads could not be had: this is a generated grid city.")
    now_ms = time.time_ns() // 1_000_000
    return Scene(
        cities=tuple(SHARES),
        zone=EVENING_ZONE,
        clock=SystemClock(options.speed, now_ms, start_of_evening(now_ms, EVENING_ZONE)),
        settings={
            "FORNO_TRAVEL": "road",
            "FORNO_ROADS_FILE": str(path),
            "FORNO_ROADS_GEOJSON": str(basemap_of(path)),
        },
        params=patient(options.speed),
        people=lambda city_ms: two_cities(
            network,
            riders=options.riders,
            orders_per_hour=options.orders_per_hour,
            seed=options.seed,
            speed=options.speed,
            now_ms=city_ms,
        ),
    )


def patient(speed: float) -> dict[str, object]:
    """Engine parameters for a fast clock: an offer lives for three wall seconds, there and back included."""
    return {
        "version": f"demo-{speed:g}x",
        "offers": {"timeout_s": max(30.0, 3 * speed), "lead_s": max(30.0, 2 * speed)},
    }


def stored(folder: Path, params: Mapping[str, object]) -> Path:
    """Parameters as the file that `FORNO_PARAMS_FILE` names."""
    path = folder / "params.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(params, indent=2) + "\n")
    return path
