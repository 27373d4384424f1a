"""Travel times by learned paces: free flow of the straight way, times what the cells along it are like at that hour.

    origin ·--x--+--x--|--x--+--x--|--x--· destination      x: six samples of the straight way, each in an H3 cell

Pure and picklable: a model is a value; a learner makes a new one now and then, under a new version.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from dispatch.engine.ports import Points, Seconds
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.leg_corrections import LegFit, sector_of
from dispatch.engine.travel.speeds import HOURS, Floats

RESOLUTION: Final = 8
"""Resolution of the cells: 0.74 km² on average, neighbours about 920 m apart."""

_FORMAT: Final = "forno-travel-1"
_SAMPLES: Final = 6
_HOUR_MS: Final = 3_600_000
_RASTER_E7: Final = 10_000
"""Step of the raster, about 110 m north: a place may fall into the neighbour's cell by half of it."""
_RASTER_MOST: Final = 300


class BrokenModel(ValueError):
    """The stored bytes are no model of this version."""


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Cells of places by plain arithmetic: row and column of a grid over the known cells; -1 where none is known."""

    south_e7: int
    west_e7: int
    step_e7: int
    slot: NDArray[np.int32]

    @staticmethod
    def of(cells: NDArray[np.uint64]) -> Raster:
        """The raster of sorted cells; a value of the grid is an index into them. At most 300 x 300 library calls."""
        if len(cells) == 0:
            return Raster(0, 0, 1, np.full((1, 1), -1, np.int32))
        centres = np.array([h3.cell_to_latlng(int(cell)) for cell in cells]) * 1e7
        margin = 8 * _RASTER_E7
        south, west = (int(x) - margin for x in centres.min(axis=0))
        reach = centres.max(axis=0) + margin - (south, west)
        step = max(_RASTER_E7, int(reach.max() / _RASTER_MOST) + 1)
        rows, columns = (int(x / step) + 1 for x in reach)
        slot_of = {int(cell): i for i, cell in enumerate(cells)}
        slot = np.full((rows, columns), -1, np.int32)
        for row in range(rows):
            lat = (south + (row + 0.5) * step) / 1e7
            for column in range(columns):
                cell = h3.latlng_to_cell(lat, (west + (column + 0.5) * step) / 1e7, RESOLUTION)
                slot[row, column] = slot_of.get(cell, -1)
        return Raster(south, west, step, slot)

    def slots(self, lat_e7: NDArray[np.float64], lng_e7: NDArray[np.float64]) -> NDArray[np.int32]:
        """Index of each place's cell, -1 off the known ones; any shape."""
        row = ((lat_e7 - self.south_e7) // self.step_e7).astype(np.int64)
        column = ((lng_e7 - self.west_e7) // self.step_e7).astype(np.int64)
        rows, columns = self.slot.shape
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        found = self.slot[np.where(inside, row, 0), np.where(inside, column, 0)]
        out: NDArray[np.int32] = np.where(inside, found, np.int32(-1))
        return out


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTravel:
    """`PairwiseTravelTimes` by paces (c + 1, 168); the last row is for unknown cells.

    `legs` is what whole legs take beyond the sum of their cells (detours, corners, looking for the door), `now` what
    the last half hour took beyond what is usual at its hour (rain, say).
    """

    base: FreeFlowTravel
    raster: Raster
    paces: Floats
    legs: LegFit = field(default_factory=LegFit)
    now: float = 1.0
    _version: list[str] = field(default_factory=list, repr=False)

    @staticmethod
    def ignorant(base: FreeFlowTravel | None = None) -> LearnedTravel:
        """The model that has learned nothing: free flow."""
        return LearnedTravel(base or FreeFlowTravel(), Raster.of(np.zeros(0, np.uint64)), np.ones((1, HOURS)))

    @property
    def version(self) -> str:
        if not self._version:
            seen = hashlib.sha256()
            for array in (self.paces, self.raster.slot):
                seen.update(np.ascontiguousarray(array).tobytes())
            edges = (self.raster.south_e7, self.raster.west_e7, self.raster.step_e7, self.legs, self.now)
            seen.update(repr(edges).encode())
            self._version.append(f"learned-{self.base.version}-{seen.hexdigest()[:16]}")
        return self._version[0]

    def packed(self) -> bytes:
        """The model as bytes, for `unpacked`."""
        out = BytesIO()
        base, raster, legs = self.base, self.raster, self.legs
        plain = {
            "format": _FORMAT,
            "base": [base.speed_mps, base.detour],
            "raster": [raster.south_e7, raster.west_e7, raster.step_e7],
            "legs": [legs.start_s, legs.stretch, list(legs.turns)],
            "now": self.now,
        }
        text = np.frombuffer(json.dumps(plain).encode(), np.uint8)
        np.savez_compressed(out, plain=text, slot=raster.slot, paces=self.paces)
        return out.getvalue()

    @staticmethod
    def unpacked(packed: bytes) -> LearnedTravel:
        """Restore a packed model, of the same version. Raises `BrokenModel`."""
        try:
            with np.load(BytesIO(packed)) as arrays:
                plain, slot, paces = json.loads(arrays["plain"].tobytes()), arrays["slot"], arrays["paces"]
            if plain["format"] != _FORMAT:
                raise BrokenModel(f"format {plain['format']!r}")
            start_s, stretch, turns = plain["legs"]
            south_e7, west_e7, step_e7 = plain["raster"]
            return LearnedTravel(
                FreeFlowTravel(*plain["base"]),
                Raster(south_e7, west_e7, step_e7, slot),
                paces,
                LegFit(start_s, stretch, tuple(turns)),
                plain["now"],
            )
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise BrokenModel(str(error)) from error

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._seconds(origins[:, None, :], destinations[None, :, :], at_ms)

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._seconds(origins, destinations, at_ms)

    def _seconds(self, a: NDArray[np.int64], b: NDArray[np.int64], at_ms: int) -> Seconds:
        free_s = self.base.between(a, b)
        paces = self._paces_at(at_ms)
        along = np.zeros(free_s.shape)
        way = b - a
        for i in range(_SAMPLES):
            part = (i + 0.5) / _SAMPLES
            place = a + way * part
            along += paces[self.raster.slots(place[..., 0], place[..., 1])]
        sector = sector_of(way, a[..., 0])
        return self.legs.seconds(free_s * along / _SAMPLES, np.broadcast_to(sector, free_s.shape)) * self.now

    def _paces_at(self, at_ms: int) -> Floats:
        """Paces of all cells at a moment: between the middles of two hours in proportion, (c + 1,)."""
        middle = at_ms / _HOUR_MS + 72 - 0.5
        before = int(np.floor(middle))
        part = middle - before
        paces: Floats = self.paces[:, before % HOURS] * (1 - part) + self.paces[:, (before + 1) % HOURS] * part
        return paces
