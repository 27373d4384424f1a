"""The travel models of a shard: one for all cities, and others for single cities, as the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dispatch.engine.ports import TravelTimes
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import LearnedTravel
from dispatch.engine.travel.planar import PlanarTravel

TravelKind = Literal["free_flow", "learned", "road", "planar"]


@dataclass(frozen=True, slots=True)
class TravelSettings:
    """Settings of travel models, by default and by city."""

    kind: TravelKind = "free_flow"
    by_city: Mapping[str, TravelKind] = field(default_factory=dict)
    roads_file: Path | None = None
    planar_metres_per_minute: int = 320

    def kind_of(self, city: str) -> TravelKind:
        """The model of a city."""
        return self.by_city.get(city, self.kind)

    @property
    def needs_roads(self) -> bool:
        """Whether any city goes by the road network."""
        return "road" in (self.kind, *self.by_city.values())


def light_model(settings: TravelSettings, kind: TravelKind) -> TravelTimes | None:
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
    if not settings.needs_roads:
        return None
    if settings.roads_file is None:
        raise ValueError("the travel model 'road' needs FORNO_ROADS_FILE")
    from dispatch.engine.travel.road import RoadTravel

    travel: TravelTimes = RoadTravel.load(settings.roads_file)
    return travel
