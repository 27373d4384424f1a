"""Road travel times: `python -m benchmarks.micro.roads [--json FILE]`. Uses the network in the cache."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from benchmarks.micro.timing import Rows, report, seconds
from dispatch.engine.travel.paths import Dijkstra, shortest_paths
from dispatch.engine.travel.road import RoadParams, RoadTravel
from node import arguments
from node.geodesy import points
from shard_router.cities.catalogue import load_cities
from simulator.roads.fetch import default_cache_dir, ensure_network
from simulator.roads.routing import RoadWays, places_in


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument("--json", type=arguments.new_file)
    args = parser.parse_args()
    network = ensure_network(default_cache_dir())
    arc_ms = RoadParams().arc_ms(network)
    travel, dijkstra, ways = RoadTravel(network), Dijkstra(network, arc_ms), RoadWays(network)
    rng = np.random.default_rng(0)
    places = places_in(network, load_cities()[0])
    drawn = [places[i] for i in rng.integers(0, len(places), 700)]
    ends = points(drawn) + rng.integers(-5_000, 5_000, (700, 2))
    origins, destinations = ends[:300], ends[300:]

    def drive() -> None:
        for start, end in pairwise(drawn[:301]):
            ways.trip(start, end)

    rows: Rows = {
        "junctions": network.node_count,
        "arcs": network.arc_count,
        "building the hierarchy, ms": seconds(lambda: shortest_paths(network, arc_ms), rounds=2) * 1e3,
        "matrix 300 x 400, ms": seconds(lambda: travel.matrix(origins, destinations, 0)) * 1e3,
        "300 pairs, ms": seconds(lambda: travel.pairs(origins, destinations[:300], 0)) * 1e3,
        "Dijkstra 300 x 400, ms": seconds(
            lambda: dijkstra.milliseconds(np.arange(300), np.arange(400)), rounds=1
        ) * 1e3,
        "a rider's way with its bends, µs": seconds(drive) / 300 * 1e6,
    }  # fmt: skip
    report(f"roads of {network.source}, one core", rows, args.json)


if __name__ == "__main__":
    main()
