"""Riders bucketed by H3 cell: their rows sorted by cell, so that a run of cells is a slice.

All riders of a city are put on the plane of one icosahedron face, the *home* face, that of the first
rider seen. There the buckets are H3's own resolution-9 cells. A city that reaches over the face's edge
goes on in the same lattice beyond it: good buckets still, though no longer H3's cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shard_router.hexgrid import Floats, face_plane, nearest_face, nearest_hex, project, unit_vectors

OFFSET: Final = 1 << 15
FAR: Final = (1 << 32) - 1
"""Key of whatever is over 53 degrees from the home face's centre, where its plane is no use."""
_FAR_COSINE: Final = 0.6

Keys = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Bucketed:
    """Rows sorted by key: `keys` (n,), `rows` (n,), and each row's direction `vectors` (3, n)."""

    home_face: int
    keys: Keys
    rows: NDArray[np.intp]
    vectors: Floats

    def only(self, mask: NDArray[np.bool_]) -> Bucketed:
        """Those that `mask` (n,) keeps."""
        if mask.all():
            return self
        return Bucketed(self.home_face, self.keys[mask], self.rows[mask], self.vectors[:, mask])


class Buckets:
    """Keeps keys and directions by row, and computes them anew only for rows that moved."""

    def __init__(self) -> None:
        self._home_face = -1
        self._keys: Keys = np.zeros(0, np.int64)
        self._vectors: Floats = np.zeros((3, 0))
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._seen = 0

    def refresh(
        self, lat_e7: NDArray[np.int32], lng_e7: NDArray[np.int32], stamp: NDArray[np.int64], clock: int
    ) -> Bucketed:
        """All rows by bucket; rows whose stamp is newer than at the last call are placed anew."""
        count = len(stamp)
        if count and self._home_face < 0:
            self._home_face = nearest_face(unit_vectors(lat_e7[:1], lng_e7[:1]))
        if clock != self._seen:
            self._grow(count)
            moved = np.flatnonzero(stamp > self._seen)
            vectors = unit_vectors(lat_e7[moved], lng_e7[moved])
            self._vectors[:, moved] = vectors
            self._keys[moved] = home_keys(vectors, self._home_face)[0]
            # By position in the last order first: nearly sorted already, which a stable sort is quick at.
            self._order = self._order[np.argsort(self._keys[self._order], kind="stable")]
            self._seen = clock
        order = self._order
        return Bucketed(max(self._home_face, 0), self._keys[order], order, self._vectors[:, order])

    def _grow(self, count: int) -> None:
        more = count - len(self._keys)
        if more == 0:
            return
        self._order = np.concatenate([self._order, np.arange(len(self._keys), count)])
        self._keys = np.concatenate([self._keys, np.zeros(more, np.int64)])
        self._vectors = np.concatenate([self._vectors, np.zeros((3, more))], axis=1)


def home_keys(vectors: Floats, home_face: int) -> tuple[Keys, Floats]:
    """Key of each direction, and its distance from its hexagon's centre in lattice units; (n,) each."""
    q, r, cosine = project(vectors, home_face)
    far = cosine < _FAR_COSINE
    if far.any():
        q[far] = r[far] = 0.0
    whole_q, whole_r = nearest_hex(q, r)
    keys = (whole_q + OFFSET).astype(np.int64) << 16
    keys |= (whole_r + OFFSET).astype(np.int64)
    keys[far] = FAR
    return keys, np.sqrt(q * q + q * r + r * r)


def plane_scale(home_face: int) -> float:
    """Lattice units to one earth radius on the plane that touches the earth at the face's centre."""
    return float(np.linalg.norm(face_plane(home_face).x_axis))
