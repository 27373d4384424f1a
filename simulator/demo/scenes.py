"""Scenes of the demo: two cities at dinner time, or an instance; each is what servers must know before they start."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from dispatch.engine.travel.network import RoadNetwork
from node.clock import SystemClock
from simulator.city.instance import CITY, build_instance, span_from
from simulator.city.scenario import SimulatedCity
from simulator.demo.options import Options
from simulator.demo.screen import Screen
from simulator.demo.town import SHARES, fix_period_s, start_of_evening, two_cities
from simulator.replay.instance import Instance, read_instance
from simulator.replay.policy import mdrp_params
from simulator.roads import grid
from simulator.roads.fetch import basemap_of, default_cache_dir, ensure_artefact

#: Wall seconds from the town's first breath to the first order of an instance.
_CURTAIN_S = 3.0
#: After the last courier's shift an instance is over at the latest so much later: food on board is still delivered.
_LAST_DELIVERY_MS = 90 * 60_000
EVENING_ZONE = ZoneInfo("America/Santiago")


@dataclass(frozen=True, slots=True)
class Play:
    """The people of a scene, and when it is over: after `orders` orders, or at `ends_ms`; None: never by itself."""

    cities: tuple[SimulatedCity, ...]
    orders: int | None = None
    ends_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene: cities by slug, a clock, settings of the services, and people, made for a domain time."""

    cities: tuple[str, ...]
    zone: ZoneInfo
    clock: SystemClock
    #: Settings of the services beside the clock, the cities and the parameters.
    settings: Mapping[str, str]
    #: EngineParams fields that differ from the defaults.
    params: Mapping[str, object]
    people: Callable[[int], Play]


async def scene_of(options: Options, screen: Screen) -> Scene:
    """The scene that the options ask for. Raises `BadInstance`."""
    return the_instance(options, options.instance) if options.instance else await evening(options, screen)


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
        people=lambda city_ms: Play(
            two_cities(
                network,
                riders=options.riders,
                orders_per_hour=options.orders_per_hour,
                seed=options.seed,
                speed=options.speed,
                now_ms=city_ms,
            )
        ),
    )


def the_instance(options: Options, folder: Path) -> Scene:
    """A day of an MDRPLib instance. Its minute 0 is wherever it must be for the first order to come soon."""
    instance = read_instance(folder)
    now_ms = time.time_ns() // 1_000_000
    fix_every_s = fix_period_s(options.speed)

    def people(city_ms: int) -> Play:
        span = span_from(instance, city_ms + round(_CURTAIN_S * options.speed * 1000))
        city = build_instance(instance, span, fix_every_s, options.seed, city_ms)
        return Play((city,), len(instance.orders), span.last_ms + _LAST_DELIVERY_MS)

    return Scene(
        cities=(CITY,),
        zone=ZoneInfo("Etc/UTC"),
        clock=SystemClock(options.speed, now_ms, now_ms),
        settings={
            "FORNO_TRAVEL_BY_CITY": json.dumps({CITY: "planar"}),
            "FORNO_PLANAR_METRES_PER_MINUTE": str(instance.rules.metres_per_minute),
        },
        params=live_mdrp(instance, options.speed),
        people=people,
    )


def live_mdrp(instance: Instance, speed: float) -> dict[str, object]:
    """The replay's parameters, but with time for an offer's way to the courier and back at this speed."""
    params = asdict(mdrp_params(instance.rules))
    params["version"] = f"mdrp-live-{speed:g}x"
    params["offers"] |= patient_offers(speed)
    params["candidates"]["max_age_s"] = 4 * fix_period_s(speed)
    return params


def patient(speed: float) -> dict[str, object]:
    """Engine parameters for a fast clock."""
    return {"version": f"demo-{speed:g}x", "offers": patient_offers(speed)}


def patient_offers(speed: float) -> dict[str, float]:
    """An offer lives for three wall seconds at least, and is made two before its rider must go."""
    return {"timeout_s": max(30.0, 3 * speed), "lead_s": max(30.0, 2 * speed)}


def stored(folder: Path, params: Mapping[str, object]) -> Path:
    """Parameters as the file that `FORNO_PARAMS_FILE` names."""
    path = folder / "params.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(params, indent=2) + "\n")
    return path
