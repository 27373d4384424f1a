"""The roads as GeoJSON for a map: one feature a class, lines joined, thinned to a few metres; and the sea."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely

from dispatch.engine.travel.network import ROAD_CLASSES, RoadNetwork
from simulator.roads.coastline import sea_beside

_TOLERANCE_DEG: Final = 3e-5
_DECIMALS: Final = 5


def write_basemap(network: RoadNetwork, path: Path, *, by_the_sea: bool) -> None:
    """Write a FeatureCollection whose features have the property `class`, in the order in which to draw them.

    The sea, class `sea`, is a polygon and comes first; the roads follow, least important first.
    """
    roads = [(name, _lines_of_class(network, number)) for number, name in enumerate(ROAD_CLASSES)]
    features = [_feature(name, lines) for name, lines in reversed(roads) if not lines.is_empty]
    if by_the_sea:
        features.insert(0, _feature("sea", sea_beside(line for _, lines in roads for line in lines.geoms)))
    document = {"type": "FeatureCollection", "attribution": network.attribution, "features": features}
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(document, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    unfinished.replace(path)


def _feature(name: str, shape: shapely.Geometry) -> dict[str, Any]:
    rounded = shapely.transform(shape, lambda points: np.round(points, _DECIMALS))
    geometry = shapely.geometry.mapping(rounded)
    return {"type": "Feature", "properties": {"class": name}, "geometry": geometry}


def _lines_of_class(network: RoadNetwork, number: int) -> shapely.MultiLineString:
    drawn: set[tuple[int, ...]] = set()
    lines = []
    points = np.stack([network.shape_lng_e7, network.shape_lat_e7], axis=1) / 1e7
    for arc in np.flatnonzero(network.arc_class == number):
        shape = points[network.shape_start[arc] : network.shape_start[arc + 1]]
        ends = (*sorted((int(network.arc_from[arc]), int(network.arc_to[arc]))), len(shape))
        if ends not in drawn:  # a two-way road is two arcs, but one line
            drawn.add(ends)
            lines.append(shapely.LineString(shape))
    joined = shapely.line_merge(shapely.MultiLineString(lines)).simplify(_TOLERANCE_DEG)
    return shapely.MultiLineString([part for part in shapely.get_parts(joined) if not part.is_empty])
