"""A road network as arrays in one file: written at set-up, read by the travel model and the simulator.

Directed arcs between nodes; a two-way road is two arcs. Each arc has its shape, both ends included, so
that somebody driving along it can be placed on the road. The file is an `.npz` of the arrays below.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FORMAT: Final = "forno-roads-2"

ROAD_CLASSES: Final = (
    "motorway",
    "trunk",
    "primary",
    "secondary",
    "tertiary",
    "unclassified",
    "residential",
    "living_street",
)
"""Names of the values of `arc_class`, most important first (OpenStreetMap's `highway`)."""


class BrokenNetwork(ValueError):
    """The file is not a road network that this version reads."""


@dataclass(frozen=True, slots=True, eq=False)
class RoadNetwork:
    """n nodes, m arcs, s shape points. Every node can reach every other one.

    `source` and `attribution` must be shown wherever the network is.
    """

    node_lat_e7: NDArray[np.int32]
    node_lng_e7: NDArray[np.int32]
    arc_from: NDArray[np.int32]
    arc_to: NDArray[np.int32]
    arc_length_m: NDArray[np.float32]
    arc_speed_kmh: NDArray[np.float32]
    """Free-flow speed: the limit where it is known, else usual for the class."""
    arc_class: NDArray[np.uint8]
    shape_start: NDArray[np.int32]
    """(m + 1,): arc i's shape is points `shape_start[i]` up to `shape_start[i + 1]`."""
    shape_lat_e7: NDArray[np.int32]
    shape_lng_e7: NDArray[np.int32]
    source: str
    attribution: str

    @property
    def node_count(self) -> int:
        return len(self.node_lat_e7)

    @property
    def arc_count(self) -> int:
        return len(self.arc_from)

    def version(self) -> str:
        """A name of this content: source and a hash of all arrays."""
        digest = hashlib.sha256(FORMAT.encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return f"{self.source}-{digest.hexdigest()[:12]}"

    def save(self, path: Path) -> None:
        """Write the file; another process sees the whole of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                format=np.array(FORMAT),
                source=np.array(self.source),
                attribution=np.array(self.attribution),
                **{name: getattr(self, name) for name in _ARRAYS},
            )
        unfinished.replace(path)

    @staticmethod
    def load(path: Path) -> RoadNetwork:
        """Read a file that `save` wrote. Raises `BrokenNetwork`, or `OSError` if it cannot be read."""
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                if str(file["format"]) != FORMAT:
                    raise ValueError(f"its format is {file['format']}, not {FORMAT}")
                return RoadNetwork(
                    **{name: file[name] for name in _ARRAYS},
                    source=str(file["source"]),
                    attribution=str(file["attribution"]),
                )
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BrokenNetwork(f"{path} is no road network: {error}") from error


_ARRAYS: Final = tuple(f.name for f in fields(RoadNetwork) if f.name not in ("source", "attribution"))
