"""The plane of hexagons that a city's riders are bucketed on.

All riders of a city are put on the plane of one icosahedron face, the *home* face, that of the first rider
seen. There its hexagons are H3's own resolution-9 cells. A city that reaches over the face's edge goes on in
the same lattice beyond it: good buckets still, though no longer H3's cells. Where riders crowd (over 24 to a
cell), hexagons of half the width are used, or of a quarter, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shard_router.cities.hexgrid import Floats, face_plane, nearest_hex, project

BITS: Final = 20
OFFSET: Final = 1 << (BITS - 1)
FAR: Final = (1 << 2 * BITS) - 1
"""Key of whatever is over 53 degrees from the home face's centre, where its plane is no use."""

_FAR_COSINE: Final = 0.6
_FINEST: Final = 16
_CROWD: Final = 24.0
_SAMPLE: Final = 1024

Keys = NDArray[np.int64]


@dataclass(frozen=True)
class Lattice:
    """Hexagons `fineness` times narrower than resolution 9. A key is `(q + 2^19) << 20 | (r + 2^19)`."""

    home_face: int
    fineness: int = 1

    @cached_property
    def unit(self) -> float:
        """Distance of neighbours' centres on the plane, in earth radii."""
        return 1 / (self.fineness * float(np.linalg.norm(face_plane(self.home_face).x_axis)))

    def keys(self, vectors: Floats) -> tuple[Keys, Floats, Floats]:
        """Of each direction (3, n): its key, its distance from its hexagon's centre in lattice units, and its
        distance from the plane's centre in earth radii; (n,) each."""
        q, r, cosine = project(vectors, self.home_face)
        if self.fineness > 1:
            q *= self.fineness
            r *= self.fineness
        far = cosine < _FAR_COSINE
        some_far = bool(far.any())
        if some_far:
            q[far] = r[far] = 0.0
        whole_q, whole_r = nearest_hex(q, r)
        whole_q += OFFSET
        whole_r += OFFSET
        keys: Keys = whole_q.astype(np.int64)
        keys <<= BITS
        keys |= whole_r.astype(np.int64)
        if some_far:
            keys[far] = FAR
            cosine[far] = 1.0
        rho = np.sqrt(np.maximum(1 / np.square(cosine) - 1, 0))
        return keys, np.sqrt(q * q + q * r + r * r), rho

    def fitted(self, density: float) -> Lattice:
        """The lattice to use for riders so dense on this one: this one, unless they crowd or are lost."""
        fineness = self.fineness
        while density > _CROWD and fineness < _FINEST:
            fineness, density = 2 * fineness, density / 4
        while density < _CROWD / 16 and fineness > 1:
            fineness, density = fineness // 2, density * 4
        return self if fineness == self.fineness else Lattice(self.home_face, fineness)


def density(keys: Keys) -> float:
    """About how many of the sorted keys there are in a hexagon, where they are.

    The area is taken from the quartiles of q and r, so that a few strays do not matter: an even spread over a
    square covers 4.3 times the product of the two interquartile ranges, a normal one effectively 6 times.
    """
    if len(keys) == 0:
        return 1.0
    sample = keys[:: 1 + len(keys) // _SAMPLE]
    low, high = len(sample) // 4, (3 * len(sample)) // 4
    area = 5.0
    for axis in (sample >> BITS, sample & (FAR >> BITS)):
        ordered = np.sort(axis)
        area *= float(ordered[high] - ordered[low])
    return len(keys) / max(1.0, area)
