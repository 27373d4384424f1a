"""Build the network's arrays from loose road links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dispatch.engine.travel.network import ROAD_CLASSES, RoadNetwork
from node.geodesy import flat_steps_m

USUAL_SPEED_KMH: Final = {
    "motorway": 90.0,
    "trunk": 70.0,
    "primary": 50.0,
    "secondary": 50.0,
    "tertiary": 45.0,
    "unclassified": 40.0,
    "residential": 30.0,
    "living_street": 15.0,
}


LONGEST_ARC_M: Final = 150.0


class NoRoads(Exception):
    """There is nothing to make a network of."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A stretch of road between two junctions. `shape_e7` is (s, 2): lat_e7, lng_e7 from `a` to `b`.

    A speed of None means that it is not known; `forward` and `backward` say which ways may be driven.
    """

    a: int
    b: int
    road_class: str
    shape_e7: NDArray[np.int32]
    speed_kmh: float | None
    forward: bool
    backward: bool


def build_network(links: Iterable[Link], source: str, attribution: str) -> RoadNetwork:
    """The largest part of the roads in which everywhere can be reached from everywhere.

    Long links are cut, so that no place on a road is far from a node; short links from a place to itself are
    dropped. Raises `NoRoads` if nothing is left.
    """
    arcs = [arc for link in _cut(links) if link.a != link.b for arc in _arcs_of(link)]
    if not arcs:
        raise NoRoads(f"{source} holds no road that can be driven")
    names, ends = np.unique([(arc.a, arc.b) for arc in arcs], return_inverse=True)
    ends = ends.reshape(-1, 2)
    keep_node = _largest_strong_component(ends, len(names))
    kept = [i for i in range(len(arcs)) if keep_node[ends[i]].all()]
    arcs = [arcs[i] for i in kept]
    number = np.cumsum(keep_node) - 1
    renumbered = number[ends[kept]].astype(np.int32)
    return _assemble(arcs, renumbered, int(keep_node.sum()), source, attribution)


def _cut(links: Iterable[Link]) -> Iterator[Link]:
    """Links of at most `LONGEST_ARC_M`; the places made between have negative numbers."""
    between = count(-1, -1)
    for link in links:
        passed_m = np.append(0.0, np.cumsum(flat_steps_m(link.shape_e7)))
        pieces = ceil(passed_m[-1] / LONGEST_ARC_M)
        if pieces <= 1:
            yield link
            continue
        ends = [link.a, *(next(between) for _ in range(pieces - 1)), link.b]
        cuts_m = passed_m[-1] * np.arange(pieces + 1) / pieces
        for (a, b), (start_m, end_m) in zip(pairwise(ends), pairwise(cuts_m), strict=True):
            inner = passed_m[(passed_m > start_m) & (passed_m < end_m)]
            at_m = np.array([start_m, *inner, end_m])
            shape = np.stack([np.interp(at_m, passed_m, axis) for axis in link.shape_e7.T], axis=1)
            yield replace(link, a=a, b=b, shape_e7=np.rint(shape).astype(np.int32))


def _arcs_of(link: Link) -> list[Link]:
    """The link once for each way it may be driven."""
    arcs = [link] if link.forward else []
    if link.backward:
        back = link.shape_e7[::-1]
        arcs.append(replace(link, a=link.b, b=link.a, shape_e7=back))
    return arcs


def _largest_strong_component(ends: NDArray[np.intp], nodes: int) -> NDArray[np.bool_]:
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(nodes, nodes))
    _, label = connected_components(graph, directed=True, connection="strong")
    kept: NDArray[np.bool_] = label == np.argmax(np.bincount(label))
    return kept


def _assemble(arcs: Sequence[Link], ends: NDArray[np.int32], nodes: int, source: str, attribution: str) -> RoadNetwork:
    sizes = [len(arc.shape_e7) for arc in arcs]
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    shape = np.concatenate([arc.shape_e7 for arc in arcs])
    node_e7 = np.zeros((nodes, 2), np.int32)
    node_e7[ends[:, 0]] = shape[start[:-1]]
    steps = np.append(flat_steps_m(shape), 0.0)
    steps[start[1:] - 1] = 0.0  # from one arc's end to the next one's beginning
    return RoadNetwork(
        node_lat_e7=node_e7[:, 0].copy(),
        node_lng_e7=node_e7[:, 1].copy(),
        arc_from=ends[:, 0].copy(),
        arc_to=ends[:, 1].copy(),
        arc_length_m=np.maximum(np.add.reduceat(steps, start[:-1]), 0.1).astype(np.float32),
        arc_speed_kmh=np.array([_speed_kmh(arc) for arc in arcs], np.float32),
        arc_class=np.array([ROAD_CLASSES.index(arc.road_class) for arc in arcs], np.uint8),
        shape_start=start,
        shape_lat_e7=shape[:, 0].copy(),
        shape_lng_e7=shape[:, 1].copy(),
        source=source,
        attribution=attribution,
    )


def _speed_kmh(arc: Link) -> float:
    return arc.speed_kmh if arc.speed_kmh else USUAL_SPEED_KMH[arc.road_class]
