"""The roads as GeoJSON for a map: one feature a class, lines joined, thinned to a few metres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np
import shapely

from dispatch.travel.network import ROAD_CLASSES, RoadNetwork

_TOLERANCE_DEG: Final = 3e-5
_DECIMALS: Final = 5


def write_basemap(network: RoadNetwork, path: Path) -> None:
    """Write a FeatureCollection whose features have the property `class`, least important first."""
    features = []
    for number in reversed(range(len(ROAD_CLASSES))):
        lines = _lines_of_class(network, number)
        if lines:
            features.append(
                {
                    "type": "Feature",
                    "properties": {"class": ROAD_CLASSES[number]},
                    "geometry": {"type": "MultiLineString", "coordinates": lines},
                }
            )
    document = {"type": "FeatureCollection", "attribution": network.attribution, "features": features}
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(document, separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    unfinished.replace(path)


def _lines_of_class(network: RoadNetwork, number: int) -> list[list[list[float]]]:
    drawn: set[tuple[int, ...]] = set()
    lines = []
    points = np.stack([network.shape_lng_e7, network.shape_lat_e7], axis=1) / 1e7
    for arc in np.flatnonzero(network.arc_class == number):
        shape = points[network.shape_start[arc] : network.shape_start[arc + 1]]
        ends = (*sorted((int(network.arc_from[arc]), int(network.arc_to[arc]))), len(shape))
        if ends not in drawn:  # a two-way road is two arcs, but one line
            drawn.add(ends)
            lines.append(shapely.LineString(shape))
    if not lines:
        return []
    joined = shapely.line_merge(shapely.MultiLineString(lines)).simplify(_TOLERANCE_DEG)
    return [np.round(shapely.get_coordinates(line), _DECIMALS).tolist() for line in shapely.get_parts(joined)]
