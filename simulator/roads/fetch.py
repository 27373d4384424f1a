"""Set-up of the road network: `python -m simulator.roads.fetch`.

The first run fetches the real roads and writes two files into the cache (`FORNO_CACHE_DIR`, by default
`~/.cache/forno`), `roads-coquimbo.npz` for the engine and the simulator, `basemap-coquimbo.geojson` for maps.
Where they cannot be fetched, `roads-grid.npz` is made instead, and the next run tries again.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from dispatch.engine.travel.network import BrokenNetwork, RoadNetwork
from simulator.roads import coquimbo, grid
from simulator.roads.basemap import write_basemap
from simulator.roads.build import NoRoads, build_network
from simulator.roads.wheel_download import CannotFetch, WheelFile, fetch

GRID_SEED: Final = 1

# The smallest of the version's wheels: they all hold the same data file, and nothing in it is run.
_COQUIMBO: Final = WheelFile(
    project="aequilibrae",
    wheel="aequilibrae-1.7.2-cp311-cp311-win_amd64.whl",
    sha256="32e2d821d93c0005d0ba1cc29e4e2e74eee071e34a82ad3ef75d0066886e46e8",
    member="aequilibrae/reference_files/coquimbo.zip",
)

Say = Callable[[str], None]


def default_cache_dir() -> Path:
    """`FORNO_CACHE_DIR`, or `~/.cache/forno`."""
    return Path(os.environ.get("FORNO_CACHE_DIR") or Path.home() / ".cache" / "forno")


def basemap_of(artefact: Path) -> Path:
    """The GeoJSON that belongs to a network's file."""
    return artefact.with_name(artefact.stem.replace("roads", "basemap") + ".geojson")


def ensure_network(cache_dir: Path, say: Say = print) -> RoadNetwork:
    """The road network, fetched and built if the cache has none."""
    return RoadNetwork.load(ensure_artefact(cache_dir, say))


def ensure_artefact(cache_dir: Path, say: Say = print) -> Path:
    """The network's file in the cache; real roads if they can be had, else the grid city's."""
    real = _artefact(cache_dir, coquimbo.SOURCE)
    if _kept(real):
        return real
    say("Fetching the roads of La Serena and Coquimbo (10 MB, once)")
    try:
        network = _build_coquimbo(fetch(_COQUIMBO))
    except (CannotFetch, NoRoads, sqlite3.Error, ValueError, zipfile.BadZipFile, KeyError) as error:
        say(f"No real roads ({error}); using a generated grid city in their place")
        return _ensure_grid(cache_dir)
    return _write(network, real, say)


def _ensure_grid(cache_dir: Path) -> Path:
    path = _artefact(cache_dir, grid.SOURCE)
    if _kept(path):
        return path
    return _write(build_network(grid.grid_links(GRID_SEED), grid.SOURCE, grid.ATTRIBUTION), path, lambda _: None)


def _artefact(cache_dir: Path, source: str) -> Path:
    return cache_dir / f"roads-{source}.npz"


def _kept(path: Path) -> bool:
    """Whether the cache has this network; its map is drawn again if only that is missing."""
    try:
        network = RoadNetwork.load(path)
    except (FileNotFoundError, BrokenNetwork):
        return False
    if not basemap_of(path).exists():
        _draw(network, path)
    return True


def _write(network: RoadNetwork, path: Path, say: Say) -> Path:
    network.save(path)
    _draw(network, path)
    say(f"{network.node_count} junctions, {network.arc_count} arcs: {path} ({network.attribution})")
    return path


def _draw(network: RoadNetwork, path: Path) -> None:
    write_basemap(network, basemap_of(path), by_the_sea=network.source == coquimbo.SOURCE)


def _build_coquimbo(archive: bytes) -> RoadNetwork:
    with tempfile.TemporaryDirectory(prefix="forno-roads-") as folder:
        with zipfile.ZipFile(BytesIO(archive)) as project:
            members = [name for name in project.namelist() if name.endswith("project_database.sqlite")]
            if not members:
                raise NoRoads("the wheel's archive holds no project_database.sqlite")
            database = Path(project.extract(members[0], folder))
        return build_network(coquimbo.read_links(database), coquimbo.SOURCE, coquimbo.ATTRIBUTION)


def main() -> int:
    """Print where the network is, fetching it first if need be."""
    print(ensure_artefact(default_cache_dir()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
