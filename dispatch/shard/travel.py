"""The travel models of a shard: one by setting, and the plane of the MDRPLib instances for the city that is one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dispatch.engine.ports import TravelTimes
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import LearnedTravel
from dispatch.engine.travel.planar import PlanarTravel

#: The city that `forno demo --instance` plays an instance in.
INSTANCE_CITY = "instance"

Kind = Literal["free_flow", "learned", "road", "planar"]


@dataclass(frozen=True, slots=True)
class TravelSettings:
    """Which model, and what it needs."""

    kind: Kind = "free_flow"
    roads_file: Path | None = None
    planar_metres_per_minute: int = 320

    def kind_of(self, city: str) -> Kind:
        """The model of a city."""
        return "planar" if city == INSTANCE_CITY else self.kind


def light_model(settings: TravelSettings, kind: Kind) -> TravelTimes | None:
    """A model that is only array arithmetic, which needs no worker; None for the road network.

    The learned model of a city that has learned nothing is free flow; `dispatch.shard.lessons` brings better ones.
    """
    if kind == "planar":
        return PlanarTravel(settings.planar_metres_per_minute)
    if kind == "learned":
        return LearnedTravel.ignorant()
    return FreeFlowTravel() if kind == "free_flow" else None


def road_model(settings: TravelSettings) -> TravelTimes | None:
    """The road network, if the settings ask for it; loading takes a moment. Raises `ValueError` or `OSError`."""
    if settings.kind != "road":
        return None
    if settings.roads_file is None:
        raise ValueError("FORNO_TRAVEL=road needs FORNO_ROADS_FILE")
    from dispatch.engine.travel.road import RoadTravel

    travel: TravelTimes = RoadTravel.load(settings.roads_file)
    return travel
