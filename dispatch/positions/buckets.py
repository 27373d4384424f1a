"""Riders bucketed by cell: their rows sorted by the cell's key, so that a run of cells is a slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.positions.lattice import Keys, Lattice, density
from shard_router.cities.hexgrid import Floats, nearest_face, unit_vectors


@dataclass(frozen=True, slots=True, eq=False)
class Bucketed:
    """Rows sorted by key: `keys` (n,), `rows` (n,), and each row's direction `vectors` (3, n).

    `density` is about how many there are in a cell, where they are.
    """

    lattice: Lattice
    keys: Keys
    rows: NDArray[np.intp]
    vectors: Floats
    density: float

    def only(self, mask: NDArray[np.bool_]) -> Bucketed:
        """The rows that `mask` (n,) keeps."""
        if mask.all():
            return self
        keys = self.keys[mask]
        return Bucketed(self.lattice, keys, self.rows[mask], self.vectors.compress(mask, axis=1), density(keys))


class Buckets:
    """Keeps keys and directions by row, and computes them anew only for rows that moved."""

    def __init__(self) -> None:
        self._lattice = Lattice(home_face=0)
        self._keys: Keys = np.zeros(0, np.int64)
        self._vectors: Floats = np.zeros((3, 0))
        self._order: NDArray[np.intp] = np.zeros(0, np.intp)
        self._seen = 0

    def refresh(
        self, lat_e7: NDArray[np.int32], lng_e7: NDArray[np.int32], stamp: NDArray[np.int64], clock: int
    ) -> Bucketed:
        """All rows by bucket; rows whose stamp is newer than at the last call are placed anew."""
        if clock != self._seen:
            if self._seen == 0:
                self._lattice = Lattice(nearest_face(unit_vectors(lat_e7[:1], lng_e7[:1])))
            self._grow(len(stamp))
            moved = np.flatnonzero(stamp > self._seen)
            vectors = unit_vectors(lat_e7[moved], lng_e7[moved])
            self._vectors[:, moved] = vectors
            self._keys[moved] = self._lattice.keys(vectors)[0]
            self._sort()
            self._seen = clock
        keys = self._keys[self._order]
        # `take` keeps each axis contiguous, which `[:, order]` does not.
        vectors = self._vectors.take(self._order, axis=1)
        return Bucketed(self._lattice, keys, self._order, vectors, density(keys))

    def _sort(self) -> None:
        # By position in the last order first: nearly sorted already, which a stable sort is quick at.
        keys = self._keys[self._order]
        by_key = np.argsort(keys, kind="stable")
        self._order = self._order[by_key]
        fitted = self._lattice.fitted(density(keys[by_key]))
        if fitted is not self._lattice:
            self._lattice = fitted
            self._keys = fitted.keys(self._vectors)[0]
            self._order = self._order[np.argsort(self._keys[self._order], kind="stable")]

    def _grow(self, count: int) -> None:
        more = count - len(self._keys)
        if more == 0:
            return
        self._order = np.concatenate([self._order, np.arange(len(self._keys), count)])
        self._keys = np.concatenate([self._keys, np.zeros(more, np.int64)])
        self._vectors = np.concatenate([self._vectors, np.zeros((3, more))], axis=1)
