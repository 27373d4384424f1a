"""Shortest paths on a road network, by a contraction hierarchy or, where that cannot be had, by Dijkstra.

Both work on whole milliseconds, so both find the same times exactly; of several equally quick paths they
may name different ones.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from dispatch.engine.travel.network import RoadNetwork

try:
    import pyroutingkit
except ImportError:  # no wheel for the platform: Dijkstra answers, some 15 times slower
    pyroutingkit = None

Nodes = NDArray[np.integer]
Milliseconds = NDArray[np.int64]


class ShortestPaths(Protocol):
    """Quickest ways between nodes of one network with one weight an arc. Every node reaches every other."""

    def milliseconds(self, sources: Nodes, targets: Nodes) -> Milliseconds:
        """Time from each of n sources to each of m targets, shape (n, m)."""
        ...

    def arcs(self, source: int, target: int) -> list[int]:
        """The arcs of a quickest way, in order; none if source is target."""
        ...


def shortest_paths(network: RoadNetwork, arc_ms: Milliseconds) -> ShortestPaths:
    """The quickest implementation there is. `arc_ms`: (m,), each at least 1."""
    if pyroutingkit is None:
        return Dijkstra(network, arc_ms)
    return Hierarchy(network, arc_ms)


class Hierarchy:
    """Customizable contraction hierarchy (RoutingKit): 0.3 s to build for 15,000 nodes, then 0.1 µs a time.

    Its calls hold the GIL, so in a service it belongs into the solving process. Not picklable.
    """

    def __init__(self, network: RoadNetwork, arc_ms: Milliseconds) -> None:
        topology = pyroutingkit.CCHTopology()
        topology.build(
            network.arc_from.astype(np.uint32),
            network.arc_to.astype(np.uint32),
            (network.node_lat_e7 / 1e7).astype(np.float32),
            (network.node_lng_e7 / 1e7).astype(np.float32),
            network.node_count,
        )
        self._metric = pyroutingkit.CCHMetric(topology)
        self._metric.customize(arc_ms.astype(np.uint32))

    def milliseconds(self, sources: Nodes, targets: Nodes) -> Milliseconds:
        if len(sources) == 0 or len(targets) == 0:
            return np.zeros((len(sources), len(targets)), np.int64)
        times = self._metric.distances_many_to_many(sources.astype(np.uint32), targets.astype(np.uint32))
        return np.asarray(times, np.int64)

    def arcs(self, source: int, target: int) -> list[int]:
        _, _, arcs = self._metric.query(source, target)
        return list(arcs)


class Dijkstra:
    """Shortest paths by scipy, one search a source."""

    def __init__(self, network: RoadNetwork, arc_ms: Milliseconds) -> None:
        # Of arcs between the same nodes only the quickest counts; a sparse matrix would add them up.
        order = np.lexsort((arc_ms, network.arc_to, network.arc_from))
        pairs = np.stack([network.arc_from[order], network.arc_to[order]])
        best = order[np.append(True, (np.diff(pairs) != 0).any(axis=0))]
        ends = network.arc_from[best].astype(np.int64), network.arc_to[best].astype(np.int64)
        self._graph = csr_array((arc_ms[best].astype(np.float64), ends), shape=(network.node_count,) * 2)
        self._arc_of = {(int(a), int(b)): int(arc) for a, b, arc in zip(*ends, best, strict=True)}

    def milliseconds(self, sources: Nodes, targets: Nodes) -> Milliseconds:
        if len(sources) == 0 or len(targets) == 0:
            return np.zeros((len(sources), len(targets)), np.int64)
        times = dijkstra(self._graph, indices=sources)
        return np.asarray(times[:, targets].astype(np.int64))

    def arcs(self, source: int, target: int) -> list[int]:
        _, before = dijkstra(self._graph, indices=np.array([source]), return_predecessors=True)
        arcs: list[int] = []
        node = target
        while node != source:
            previous = int(before[0, node])
            arcs.append(self._arc_of[previous, node])
            node = previous
        return arcs[::-1]
