"""A phone's GPS: now and then, and not quite where one is."""

from __future__ import annotations

from math import hypot
from random import Random

from node.geodesy import M_PER_E7, lng_scale, short_turn_e7
from simulator.city.actions import Fix
from simulator.city.model import Place, Pose
from simulator.city.params import RiderParams

#: Radius that holds 68 % of a round two-dimensional normal distribution, over its deviation: sqrt(-2 ln 0.32).
_RADIUS_68 = 1.5096


class Gps:
    """Fixes of one phone. The first comes at a random moment of its period, so that phones are not in step."""

    def __init__(self, params: RiderParams, rng: Random, now_ms: int) -> None:
        self._params = params
        self._rng = rng
        self._every_ms = round(params.fix_every_s * 1000)
        self.due_ms = now_ms + rng.randrange(self._every_ms)

    def fix(self, pose: Pose, now_ms: int) -> Fix:
        """The fix of now; the next one is due a period after this one was."""
        missed = (now_ms - self.due_ms) // self._every_ms
        self.due_ms += (missed + 1) * self._every_ms
        accuracy_m = self._rng.uniform(*self._params.accuracy_m)
        return Fix(now_ms, self._near(pose.at, accuracy_m), accuracy_m, pose.heading_deg, pose.speed_mps)

    def _near(self, at: Place, accuracy_m: float) -> Place:
        """A normal error with 68 % within the accuracy, and never beyond twice that."""
        sigma_m = accuracy_m / _RADIUS_68
        north_m, east_m = self._rng.gauss(0, sigma_m), self._rng.gauss(0, sigma_m)
        shrink = min(1.0, 2 * accuracy_m / max(hypot(north_m, east_m), 1e-9))
        lat_e7 = at.lat_e7 + round(north_m * shrink / M_PER_E7)
        lng_e7 = at.lng_e7 + round(east_m * shrink / (M_PER_E7 * lng_scale(at.lat_e7)))
        return Place(lat_e7, short_turn_e7(lng_e7))
