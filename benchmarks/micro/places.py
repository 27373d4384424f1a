"""Cells and cities of places in bulk: `python -m benchmarks.micro.places [--json FILE]`."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np

from benchmarks.micro.timing import Rows, report, seconds
from node import arguments
from shard_router.cities.catalogue import CityLookup, load_cities
from shard_router.cities.hexgrid import RESOLUTION, cell_keys

PLACES = 100_000


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument("--json", type=arguments.new_file)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    cities = load_cities()
    lookup = CityLookup(cities)
    home = np.array([city.center_e7 for city in cities])[rng.integers(0, len(cities), PLACES)]
    lat, lng = (home + rng.integers(-1_000_000, 1_000_000, home.shape)).T
    few = list(zip((lat[:10_000] / 1e7).tolist(), (lng[:10_000] / 1e7).tolist(), strict=True))
    ns = 1e9 / PLACES
    rows: Rows = {
        "city of a place, ns": seconds(lambda: lookup.find(lat, lng)) * ns,
        "cell of a place, ns": seconds(lambda: cell_keys(lat, lng)) * ns,
        "cell of a place by the h3 library, ns": seconds(lambda: [h3.latlng_to_cell(*p, RESOLUTION) for p in few])
        * 1e5,
        "building the lookup of the catalogue, ms": seconds(lambda: CityLookup(load_cities()), rounds=2) * 1e3,
    }
    report(f"places of {len(cities)} cities, one core", rows, args.json)


if __name__ == "__main__":
    main()
