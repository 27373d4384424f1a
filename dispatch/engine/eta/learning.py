"""Learn from a city's past for its ETAs: travel times from pings and legs, the spread of quotes from deliveries.

Pure but for its own memory, bounded by riders and cells; told only of what has happened. `saved` and `loaded` carry it
over a restart; what was learned since it was saved last is learned again from what comes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.eta.calibration import Band, Calibration, Quote, Stage
from dispatch.engine.eta.plan import LearnedTimes
from dispatch.engine.inputs import Positions
from dispatch.engine.model import Order, OrderId, Point, Rider, RiderId, StopKind
from dispatch.engine.notes import Note, NoteKind
from dispatch.engine.params import EngineParams
from dispatch.engine.service_times import half_ms
from dispatch.engine.travel.driven_stretches import LastFixes
from dispatch.engine.travel.learner import TravelLearner
from dispatch.engine.travel.leg_corrections import LegSums
from dispatch.engine.travel.ratio import Ratio

#: Positions are learned from at most this often, domain milliseconds.
LEARN_EVERY_MS: Final = 10_000
_FORMAT: Final = "forno-eta-1"


class BrokenLearning(ValueError):
    """The stored bytes are not what this version saves."""


@dataclass(slots=True)
class CityLearning:
    """Lessons of one city: travel times, of which `travel_learner` makes the model, and the spread of quotes."""

    travel_learner: TravelLearner = field(default_factory=TravelLearner)
    calibration: Calibration = field(default_factory=Calibration)
    _learned_ms: int = 0
    #: Where and when each rider with food on board set out last.
    _left: dict[RiderId, tuple[Point, int]] = field(default_factory=dict)

    def is_due(self, now_ms: int) -> bool:
        """Whether it is time to learn from positions."""
        return now_ms - self._learned_ms >= LEARN_EVERY_MS

    def learn_from_positions(
        self, positions: Positions, riders: Mapping[RiderId, Rider], now_ms: int, params: EngineParams
    ) -> None:
        """Learn travel times from where the riders are now."""
        self._learned_ms = now_ms
        paces = [
            params.pace.of(rider.vehicle) if (rider := riders.get(RiderId(r))) else 1.0
            for r in positions.rider_ids.tolist()
        ]
        ts_ms = now_ms - np.asarray(positions.age_ms, np.int64)
        seen = LastFixes(positions.rider_ids, positions.lat_e7, positions.lng_e7, ts_ms, np.array(paces))
        self.travel_learner.learn_from_fixes(seen, now_ms)

    def learn_from_notes(
        self,
        notes: Iterable[Note],
        orders: Mapping[OrderId, Order],
        riders: Mapping[RiderId, Rider],
        params: EngineParams,
    ) -> None:
        """Learn from the legs that riders made with food on board; `orders` holds those that ended in the tick, too."""
        for note in notes:
            order = orders.get(note.order_id) if note.order_id is not None else None
            if order is None or note.rider_id is None:
                continue
            if note.kind is NoteKind.PICKED_UP:
                self._left[note.rider_id] = order.pickup, note.at_ms + half_ms(StopKind.PICKUP, params.service)
            elif note.kind is NoteKind.DELIVERED:
                self._arrived(note.rider_id, order.drop, note.at_ms, riders.get(note.rider_id), params)

    def _arrived(self, rider_id: RiderId, door: Point, at_ms: int, rider: Rider | None, params: EngineParams) -> None:
        left = self._left.pop(rider_id, None)
        half = half_ms(StopKind.DROP, params.service)
        if left is not None and rider is not None:
            place, left_ms = left
            vehicle_pace = params.pace.of(rider.vehicle)
            self.travel_learner.learn_from_leg(
                place, door, left_ms, (at_ms - half - left_ms) / 1000, rider_id, vehicle_pace
            )
        if rider is not None and rider.carrying:
            self._left[rider_id] = door, at_ms + half

    def learn_from_delivery(self, quotes: Iterable[Quote], at_ms: int) -> None:
        """Learn how sure quotes are from those of an order that was delivered."""
        for quote in quotes:
            self.calibration = self.calibration.learned(quote, at_ms)

    def known(self, riders: Iterable[Rider]) -> LearnedTimes:
        """Learned times that ETAs of these riders are computed with."""
        return LearnedTimes(
            self.calibration, {rider.rider_id: self.travel_learner.pace_of(rider.rider_id) for rider in riders}
        )

    def saved(self) -> bytes:
        """Pack all of it but what is under way, for the next owner; sums are rounded to 32 bits."""
        return _archive(self._plain(), self._sums(np.float32))

    def snapshot(self) -> bytes:
        """Pack all of it to the last bit, what is under way included: a replay goes on from there."""
        left = [(rider_id, place.lat_e7, place.lng_e7, at_ms) for rider_id, (place, at_ms) in self._left.items()]
        left_ids = [rider_id for rider_id, *_ in left]
        arrays = self._sums(np.float64) | self.travel_learner.under_way()
        arrays["left_id"] = np.array(left_ids, np.uint64)
        arrays["left"] = np.array([rest for _, *rest in left], np.int64).reshape(-1, 3)
        return _archive({**self._plain(), "looked_ms": self._learned_ms}, arrays)

    def _plain(self) -> dict[str, Any]:
        travel = self.travel_learner
        return {
            "format": _FORMAT,
            "present": asdict(travel.present),
            "present_ms": travel.present_ms,
            "legs": asdict(travel.legs),
            "bands": {stage: asdict(band) for stage, band in self.calibration.bands.items()},
        }

    def _sums(self, dtype: type[np.floating[Any]]) -> dict[str, NDArray[Any]]:
        travel = self.travel_learner
        riders = [(r.expected_s, r.spent_s) for r in travel.riders.values()]
        return {
            "cells": travel.sums.cells,
            "free_s": travel.sums.free_s.astype(dtype),
            "spent_s": travel.sums.spent_s.astype(dtype),
            "rider_id": np.array(list(travel.riders), np.uint64),
            "rider": np.array(riders, np.float64).reshape(-1, 2),
        }

    @staticmethod
    def loaded(saved: bytes) -> CityLearning:
        """Restore what was `saved`, or a `snapshot`. Raises `BrokenLearning`."""
        try:
            with np.load(BytesIO(saved)) as arrays:
                return _restored(json.loads(arrays["plain"].tobytes()), {name: arrays[name] for name in arrays.files})
        except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise BrokenLearning(str(error)) from error


def _archive(plain: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> bytes:
    out = BytesIO()
    np.savez_compressed(out, plain=np.frombuffer(json.dumps(plain).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def _restored(plain: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> CityLearning:
    if plain["format"] != _FORMAT:
        raise BrokenLearning(f"format {plain['format']!r}")
    learning = CityLearning()
    travel = learning.travel_learner
    travel.sums.cells = arrays["cells"].astype(np.uint64)
    travel.sums.free_s, travel.sums.spent_s = (arrays[name].astype(np.float64) for name in ("free_s", "spent_s"))
    travel.present = Ratio(**plain["present"])
    travel.legs = LegSums(plain["legs"]["sums"], [Ratio(**turn) for turn in plain["legs"]["turns"]])
    travel.present_ms = int(plain["present_ms"])
    pairs = zip(arrays["rider_id"].tolist(), arrays["rider"].tolist(), strict=True)
    travel.riders = {int(rider_id): Ratio(*sums) for rider_id, sums in pairs}
    bands = {Stage(stage): Band(**band) for stage, band in plain["bands"].items()}
    learning.calibration = Calibration(bands)
    if "looked_ms" not in plain:
        travel.refresh()
        return learning
    learning._learned_ms = int(plain["looked_ms"])
    left = zip(arrays["left_id"].tolist(), arrays["left"].tolist(), strict=True)
    learning._left = {RiderId(rider_id): (Point(lat, lng), at_ms) for rider_id, (lat, lng, at_ms) in left}
    travel.go_on_from(arrays)
    return learning
