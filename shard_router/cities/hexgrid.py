"""H3 cells of many points at once, in numpy.

H3 lays a plane of hexagons on each of the 20 faces of an icosahedron. A point is put on the plane of
its nearest face by a gnomonic projection (straight from the earth's centre), and the hexagon whose
centre is nearest is its cell. The plane's hexagons form a lattice with two axes 60 degrees apart:

         r
        /           centre(q, r) = q * (1, 0) + r * (1/2, sqrt(3)/2)
       +--- q       the six neighbours of a cell: (±1, 0), (0, ±1), (1, -1), (-1, 1)

So (face, q, r) names a cell as well as its 64-bit index does, costs a few array operations instead of
0.5 µs of library call a point, and neighbours are additions. Worked example: the square of La Serena,
(-29.9027, -71.2520), lies on face 12 at resolution 9.

Limit: within a cell or two of an edge between faces, one H3 cell may be seen from two faces, and around
the twelve vertices there are pentagons. `cell_keys` asks the library there, so its answers are the
library's everywhere. Constants: H3's `faceijk.c` (Apache-2.0), `faceCenterGeo`, `faceAxesAzRadsCII`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

RESOLUTION: Final = 9
"""Resolution of every cell here: 0.105 km² on average, neighbours about 350 m apart."""

_AXIS_ROTATION: Final = 0.333473172251832115336  # odd resolutions are turned by asin(sqrt(3/28))
_RES0_UNIT: Final = 0.38196601125010500003  # spacing of resolution 0 on the plane of radius 1
_SCALE: Final = 7.0 ** (RESOLUTION / 2) / _RES0_UNIT

# Centre of each face and azimuth of its first axis, radians: lat, lng, azimuth.
_FACES: Final = np.array(
    [
        (0.803582649718989942, 1.248397419617396099, 5.619958268523939882),
        (1.307747883455638156, 2.536945009877921159, 5.760339081714187279),
        (1.054751253523952054, -1.347517358900396623, 0.780213654393430055),
        (0.600191595538186799, -0.450603909469755746, 0.430469363979999913),
        (0.491715428198773866, 0.401988202911306943, 6.130269123335111400),
        (0.172745327415618701, 1.678146885280433686, 2.692877706530642877),
        (0.605929321571350690, 2.953923329812411617, 2.982963003477243874),
        (0.427370518328979641, -1.888876200336285401, 3.532912002790141181),
        (-0.079066118549212831, -0.733429513380867741, 3.494305004259568154),
        (-0.230961644455383637, 0.506495587332349035, 3.003214169499538391),
        (0.079066118549212831, 2.408163140208925497, 5.930472956509811562),
        (0.230961644455383637, -2.635097066257444203, 0.138378484090254847),
        (-0.172745327415618701, -1.463445768309359553, 0.448714947059150361),
        (-0.605929321571350690, -0.187669323777381622, 0.158629650112549365),
        (-0.427370518328979641, 1.252716453253507838, 5.891865957979238535),
        (-0.600191595538186799, 2.690988744120037492, 2.711123289609793325),
        (-0.491715428198773866, -2.739604450678486295, 3.294508837434268316),
        (-0.803582649718989942, -1.893195233972397139, 3.804819692245439833),
        (-1.307747883455638156, -0.604647643711872080, 3.664438879055192436),
        (-1.054751253523952054, 1.794075294689396615, 2.361378999196363184),
    ]
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
E7 = NDArray[np.integer] | NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class FacePlane:
    """One face: direction of its centre, and the plane's two axes in lattice units. Each is (3,)."""

    centre: Floats
    x_axis: Floats
    y_axis: Floats


@cache
def face_plane(face: int) -> FacePlane:
    """The plane of face 0..19 at this module's resolution."""
    lat, lng, azimuth = _FACES[face]
    sin_lat, cos_lat, sin_lng, cos_lng = np.sin(lat), np.cos(lat), np.sin(lng), np.cos(lng)
    centre = np.array([cos_lat * cos_lng, cos_lat * sin_lng, sin_lat])
    north = np.array([-sin_lat * cos_lng, -sin_lat * sin_lng, cos_lat])
    east = np.array([-sin_lng, cos_lng, 0.0])
    turned = azimuth - _AXIS_ROTATION
    x_axis = _SCALE * (np.cos(turned) * north + np.sin(turned) * east)
    y_axis = _SCALE * (np.sin(turned) * north - np.cos(turned) * east)
    return FacePlane(centre, x_axis, y_axis)


_CENTRES: Final = np.stack([face_plane(face).centre for face in range(20)])


def unit_vectors(lat_e7: E7, lng_e7: E7) -> Floats:
    """Directions from the earth's centre, shape (3, n)."""
    lat = lat_e7 * (np.pi / 180e7)
    lng = lng_e7 * (np.pi / 180e7)
    cos_lat = np.cos(lat)
    out = np.empty((3, len(lat)))
    np.multiply(cos_lat, np.cos(lng), out=out[0])
    np.multiply(cos_lat, np.sin(lng), out=out[1])
    np.sin(lat, out=out[2])
    return out


def nearest_face(vector: Floats) -> int:
    """The face of one direction, shape (3,) or (3, 1)."""
    return int(np.argmax(_CENTRES @ vector.reshape(3)))


def project(vectors: Floats, face: int) -> tuple[Floats, Floats, Floats]:
    """Lattice coordinates (q, r) on a face's plane as fractions, and the cosine to its centre; (n,) each.

    Of use wherever the cosine is well above 0; H3's own cells only where the face is the nearest one.
    """
    plane = face_plane(face)
    cosine = plane.centre @ vectors
    x = plane.x_axis @ vectors
    y = plane.y_axis @ vectors
    x /= cosine
    y /= cosine
    y *= 1 / np.sqrt(3.0)
    x -= y
    y *= 2.0
    return x, y, cosine


def nearest_hex(q: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Whole lattice coordinates of the nearest centre. `q` and `r` are left as the remainders."""
    whole_q, whole_r = np.rint(q), np.rint(r)
    q -= whole_q
    r -= whole_r
    # Rounding each axis alone misses the nearest centre in the hexagon's corners: step along the worse axis.
    q_is_worse = np.abs(q) >= np.abs(r)
    step_q = np.rint(q + 0.5 * r)
    step_r = np.rint(r + 0.5 * q)
    step_q *= q_is_worse
    step_r *= ~q_is_worse
    whole_q += step_q
    whole_r += step_r
    q -= step_q
    r -= step_r
    return whole_q, whole_r


_OFFSET: Final = 1 << 15
_EDGE_MARGIN: Final = 1e-4  # difference of two faces' cosines at two cells' distance from their edge
_BLOCK: Final = 8192  # points at once: what they need stays in the processor's cache
_BORDER_MARGIN: Final = 1e-7  # lattice units, 0.03 mm: closer to a border, rounding may decide


def cell_keys(lat_e7: E7, lng_e7: E7) -> Ints:
    """The key of each point's cell: equal for two points exactly if H3 puts them in the same cell.

    A key is `face << 32 | (q + 2^15) << 16 | (r + 2^15)`, of the face nearest to the cell's centre.
    """
    keys = np.empty(len(lat_e7), np.int64)
    for at in range(0, len(keys), _BLOCK):
        block = slice(at, at + _BLOCK)
        keys[block] = _block_keys(lat_e7[block], lng_e7[block])
    return keys


def _block_keys(lat_e7: E7, lng_e7: E7) -> Ints:
    vectors = unit_vectors(lat_e7, lng_e7)
    cosines = _CENTRES @ vectors
    faces = np.argmax(cosines, axis=0)
    everyone = np.arange(len(faces))
    best = cosines[faces, everyone]
    cosines[faces, everyone] = -1.0
    doubtful: NDArray[np.bool_] = best - cosines.max(axis=0) < _EDGE_MARGIN
    keys = np.empty(len(faces), np.int64)
    for face in np.unique(faces):
        on_face = np.flatnonzero(faces == face)
        q, r, _ = project(vectors[:, on_face], int(face))
        keys[on_face] = pack_key(int(face), *nearest_hex(q, r))
        doubtful[on_face] |= _near_border(q, r)
    for i in np.flatnonzero(doubtful):
        keys[i] = key_of_cell(h3.latlng_to_cell(lat_e7[i] / 1e7, lng_e7[i] / 1e7, RESOLUTION))
    return keys


def pack_key(face: int, q: Floats, r: Floats) -> Ints:
    """Keys of lattice cells of one face."""
    high = (q + _OFFSET).astype(np.int64) << 16
    high |= (r + _OFFSET).astype(np.int64)
    high |= face << 32
    return high


def _near_border(q: Floats, r: Floats) -> NDArray[np.bool_]:
    """Whether the remainders lie at a hexagon's side: |x·n| = 1/2 for one of the three normals."""
    x, half_y = q + 0.5 * r, 0.75 * r
    reach = np.maximum(np.abs(x), np.maximum(np.abs(0.5 * x + half_y), np.abs(0.5 * x - half_y)))
    return reach > 0.5 - _BORDER_MARGIN


@lru_cache(maxsize=65_536)
def key_of_cell(cell: int) -> int:
    """The key of one H3 cell."""
    return int(keys_of_cells([cell])[0])


def keys_of_cells(cells: list[int]) -> Ints:
    """The keys of H3 cells, by their centres."""
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells]).reshape(-1, 2)
    vectors = unit_vectors(np.rint(centres[:, 0] * 1e7), np.rint(centres[:, 1] * 1e7))
    faces = np.argmax(_CENTRES @ vectors, axis=0)
    keys = np.empty(len(cells), np.int64)
    for face in np.unique(faces):
        on_face = faces == face
        q, r, _ = project(vectors[:, on_face], int(face))
        keys[on_face] = pack_key(int(face), *nearest_hex(q, r))
    return keys
