"""Nearest riders by rings of hexagons, for many places at once.

The riders are sorted by cell key, and a key is `q << 20 | r`. So the disk of radius R around a cell, which
is 3R(R+1)+1 cells, is only 2R+1 slices of the sorted riders, one for each q:

          r ·  · a  a  a          R = 1 around (q, r):
          · b  b  b  b            keys (q-1, r .. r+1), (q, r-1 .. r+1), (q+1, r-1 .. r)

A disk answers for k riders if the k-th is nearer than anything outside the disk can be. Seen from the middle
cell's centre, the outside begins at sqrt(3)/2·R + sqrt(3)/6 lattice units; the asking place may lie
off the centre by its remainder. A length t on the plane (earth radii) spans at least the angle
t / (1 + (rho + t)²) where rho is the place's distance from the plane's centre, since the gnomonic
projection stretches by at most 1 + rho². Places whose disk does not suffice ask a wider one; at last all
riders.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.positions.buckets import Bucketed
from dispatch.positions.lattice import BITS, FAR, Keys
from dispatch.positions.rows import Ids
from shard_router.cities.hexgrid import Floats, unit_vectors

_WIDEST: Final = 32
_BLOCK_CELLS: Final = 1 << 20
"""Distances held at once: bounds the memory of a bulk question."""

Index = NDArray[np.intp]


def nearest_chords(
    order: Bucketed, ids: Ids, lat_e7: NDArray[np.integer], lng_e7: NDArray[np.integer], k: int
) -> tuple[Index, Floats]:
    """Index into `order` and chord on the unit sphere of the k nearest, both (m, k); -1 and inf for none."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    index = np.full((len(lat_e7), k), -1, np.intp)
    square = np.full((len(lat_e7), k), np.inf)
    if len(ids) and len(lat_e7):
        places = unit_vectors(lat_e7, lng_e7)
        _search(order, ids, places, index, square)
    return index, np.sqrt(square)


def _search(order: Bucketed, ids: Ids, places: Floats, index: Index, square: Floats) -> None:
    k = index.shape[1]
    keys, off_centre, rho = order.lattice.keys(places)
    if order.keys[-1] == FAR:
        _ask_all(order, ids, places, np.arange(len(keys)), index, square)
        return
    _ask_all(order, ids, places, np.flatnonzero(keys == FAR), index, square)
    todo = np.flatnonzero(keys != FAR)
    rings = _first_rings(order.density, k)
    while len(todo) and rings <= _WIDEST:
        enough = np.zeros(len(todo), np.bool_)
        for part in _blocks(len(todo), rings, order.density):
            asked = todo[part]
            found, found_square, counts = _ask_disks(order, ids, places[:, asked], keys[asked], rings, k)
            index[asked], square[asked] = found, found_square
            clear = _clear_square(off_centre[asked], rho[asked], rings, order.lattice.unit)
            enough[part] = (found_square[:, -1] <= clear) | (counts == len(ids))
        todo = todo[~enough]
        rings += max(1, rings // 2)
    _ask_all(order, ids, places, todo, index, square)


def _first_rings(density: float, k: int) -> int:
    """Rings at which a disk will mostly suffice.

    On average the clear circle has the radius sqrt(3)/2·R - 0.06, that is 2.72 (R - 0.07)² cells; it should
    hold k riders and a deviation more.
    """
    cells = (k + sqrt(k)) / density
    return max(1, ceil(sqrt(cells / 2.72) + 0.07))


def _blocks(count: int, rings: int, density: float) -> list[slice]:
    a_disk = (3 * rings * (rings + 1) + 1) * density + 2 * rings
    size = max(1, int(_BLOCK_CELLS / a_disk))
    return [slice(at, at + size) for at in range(0, count, size)]


def _clear_square(off_centre: Floats, rho: Floats, rings: int, unit: float) -> Floats:
    """Square of the least chord to a rider outside the disk, (n,)."""
    clear = sqrt(3) / 2 * rings + sqrt(3) / 6 - off_centre
    length = np.maximum(clear, 0) * unit * (1 - 1e-9)
    angle = length / (1 + np.square(rho + length))
    return np.asarray(np.square(2 * np.sin(angle / 2)))


def _ask_disks(
    order: Bucketed, ids: Ids, places: Floats, keys: Keys, rings: int, k: int
) -> tuple[Index, Floats, NDArray[np.intp]]:
    """The k nearest within the disks, and how many riders each disk held."""
    column = np.arange(-rings, rings + 1)
    low = (column << BITS) + np.maximum(-rings, -rings - column)
    high = (column << BITS) + np.minimum(rings, rings - column)
    starts = np.searchsorted(order.keys, keys[:, None] + low)
    ends = np.searchsorted(order.keys, keys[:, None] + high, side="right")
    lengths = ends - starts
    counts = lengths.sum(axis=1)
    candidates = _expand(starts.ravel(), lengths.ravel())
    squares = _chord_squares(order.vectors, candidates, places, counts)
    width = max(k, int(counts.max()))
    filled = np.arange(width) < counts[:, None]
    table = np.full((len(keys), width), np.inf)
    table[filled] = squares
    chosen = np.full((len(keys), width), -1, np.intp)
    chosen[filled] = candidates
    return *_smallest(table, chosen, ids, k), counts


def _ask_all(order: Bucketed, ids: Ids, places: Floats, todo: Index, index: Index, square: Floats) -> None:
    """Measure every rider: the fallback that is always right."""
    if len(todo) == 0:
        return
    everyone = np.arange(len(ids))
    size = max(1, _BLOCK_CELLS // len(ids))
    for at in range(0, len(todo), size):
        asked = todo[at : at + size]
        chosen = np.broadcast_to(everyone, (len(asked), len(ids)))
        counts = np.full(len(asked), len(ids))
        table = _chord_squares(order.vectors, chosen.ravel(), places[:, asked], counts).reshape(len(asked), -1)
        short = index.shape[1] - len(ids)
        if short > 0:
            table = np.pad(table, ((0, 0), (0, short)), constant_values=np.inf)
            chosen = np.pad(chosen, ((0, 0), (0, short)), constant_values=-1)
        index[asked], square[asked] = _smallest(table, chosen, ids, index.shape[1])


def _expand(starts: Index, lengths: Index) -> Index:
    """start, start + 1, … of each slice, one after the other."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _chord_squares(vectors: Floats, candidates: Index, places: Floats, counts: Index) -> Floats:
    """Squares of the chords from place i to its `counts[i]` candidates, one place after the other."""
    total = np.zeros(len(candidates))
    for axis in range(3):
        difference = vectors[axis].take(candidates, mode="clip")
        difference -= np.repeat(places[axis], counts)
        difference *= difference
        total += difference
    return total


def _smallest(table: Floats, chosen: Index, ids: Ids, k: int) -> tuple[Index, Floats]:
    """The k least of each line, in order; among equals the lower rider id, at the brink too."""
    nearest = np.argpartition(table, k - 1, axis=1)[:, :k]
    brink = np.take_along_axis(table, nearest, 1).max(axis=1)
    crowded = np.isfinite(brink) & (np.count_nonzero(table <= brink[:, None], axis=1) > k)
    for line in np.flatnonzero(crowded):
        nearest[line] = np.lexsort((ids[chosen[line]], table[line]))[:k]
    found = np.take_along_axis(chosen, nearest, 1)
    by_id = np.argsort(ids[found], axis=1)
    found = np.take_along_axis(found, by_id, 1)
    squares = np.take_along_axis(np.take_along_axis(table, nearest, 1), by_id, 1)
    by_distance = np.argsort(squares, axis=1, kind="stable")
    return np.take_along_axis(found, by_distance, 1), np.take_along_axis(squares, by_distance, 1)
