"""The world the users of a load test live in: one seeded city of straight ways, and where the system is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from node.clock import Clock
from node.settings import NodeSettings, load
from node.tokens import TokenSigner
from simulator.city.model import Place
from simulator.city.motion import Trip, straight
from simulator.city.params import RiderParams
from simulator.city.rider import Rider
from simulator.city.scenario import CityParams, CitySite, SimulatedCity, build
from simulator.drive.tokens import Tokens

CITY = "la-serena"
_CENTER = Place(-299_027_000, -712_520_000)
#: Half the side of the square that people live in, 1e-7 degrees: about a kilometre.
_HALF_E7 = 90_000
_PLACES = 400
_SPEED_MPS = 8.0
#: Minds that are ready; a test with more riders than this uses them again with other ids.
_RIDERS = 2000


class StraightWays:
    """Straight ways, ridden at even speed."""

    def trip(self, start: Place, end: Place) -> Trip:
        return straight((start, end), _SPEED_MPS)


class LoadWorld:
    """Settings and tokens of the simulated users. Reads `FORNO_*` as a service does."""

    def __init__(self) -> None:
        settings = load(NodeSettings)
        if settings.jwt_private_key_file is None:
            raise SystemExit("FORNO_JWT_PRIVATE_KEY_FILE: needed to sign tokens of riders and users")
        self.clock: Clock = settings.clock()
        self.tokens = Tokens(TokenSigner(Path(settings.jwt_private_key_file)))
        self.tracking_address = os.environ["FORNO_TRACKING_ADDRESS"]
        self.city = _city(self.clock.domain_ms(), settings.clock_speed, int(os.environ.get("FORNO_LOAD_SEED", "1")))
        self.minds: Iterator[Rider] = cycle(self.city.riders)


def _city(now_ms: int, speed: float, seed: int) -> SimulatedCity:
    rng = Random(seed)
    places = [
        Place(_CENTER.lat_e7 + rng.randint(-_HALF_E7, _HALF_E7), _CENTER.lng_e7 + rng.randint(-_HALF_E7, _HALF_E7))
        for _ in range(_PLACES)
    ]
    ground = CitySite(CITY, ZoneInfo("America/Santiago"), _CENTER, places, StraightWays())
    rider = RiderParams(fix_every_s=max(1.0, 0.5 * speed), losses_per_hour=0)
    return build(ground, CityParams(riders=_RIDERS, restaurants=20, rider=rider), seed, now_ms)
