"""Speeds learned from pings: shrunk to free flow, never ahead of their time, the same from the same pings."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from dispatch.engine.model import Point, RiderId
from dispatch.engine.travel.driven_stretches import LastFixes
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import BrokenModel, LearnedTravel, Raster
from dispatch.engine.travel.learner import TravelLearner
from dispatch.engine.travel.leg_corrections import LegFit, LegSums, sector_of
from dispatch.engine.travel.speeds import HOURS, SpeedParams, SpeedSums, hour_of_week
from dispatch.errors import InvalidParams

SEED = 20261123
MONDAY_NOON_MS = 1_789_387_200_000
"""2026-09-14 12:00 UTC."""
FREE = FreeFlowTravel()
LAT_E7, LNG_E7 = -299_027_000, -712_520_000
METRE_E7 = 90


def places(count: int, rng: Random) -> NDArray[np.int64]:
    """Places within some 4 km."""
    spread = 20_000
    return np.array(
        [(LAT_E7 + rng.randint(-spread, spread) * 9, LNG_E7 + rng.randint(-spread, spread) * 9) for _ in range(count)],
        np.int64,
    )


def ride(learner: TravelLearner, mps: float, minutes: int, begin_ms: int = MONDAY_NOON_MS, rider: int = 1) -> int:
    """A rider goes north at an even speed, a fix each quarter of a minute; returns how many stretches taught."""
    taught = 0
    for i in range(minutes * 4):
        at_ms = begin_ms + i * 15_000
        # To and fro over some 2 km, so that it stays in the city.
        metres = mps * 15 * i % 4000
        lat = LAT_E7 + round((metres if metres < 2000 else 4000 - metres) * METRE_E7)
        seen = LastFixes(
            np.array([rider], np.uint64), np.array([lat]), np.array([LNG_E7]), np.array([at_ms]), np.ones(1)
        )
        taught += learner.learn_from_fixes(seen, at_ms)
    return taught


def test_the_week_begins_on_monday() -> None:
    """Noon of a Monday is hour 12, an hour before the first Monday midnight is the last of the week."""
    assert hour_of_week(MONDAY_NOON_MS) == 12
    assert hour_of_week(MONDAY_NOON_MS - 13 * 3_600_000) == HOURS - 1


def test_without_data_it_is_free_flow() -> None:
    """For 200 random pairs at any hour, and by the matrix as by pairs."""
    rng = Random(SEED)
    a, b = places(200, rng), places(200, rng)
    for model in (LearnedTravel.ignorant(), TravelLearner().model()):
        at_ms = MONDAY_NOON_MS + rng.randrange(7 * 86_400_000)
        assert model.pairs(a, b, at_ms) == pytest.approx(FREE.pairs(a, b, at_ms), rel=1e-12)
        assert model.matrix(a[:9], b[:7], at_ms) == pytest.approx(FREE.matrix(a[:9], b[:7], at_ms), rel=1e-12)


def test_the_more_is_driven_the_less_it_shrinks() -> None:
    """Half of the free speed: the pace goes from 1 to 2, or a little more where the rider turns round."""
    paces = []
    for minutes in (0, 5, 30, 240):
        learner = TravelLearner()
        ride(learner, FREE.speed_mps / 2, minutes)
        learner.refresh()
        paces.append(float(learner.sums.paces()[:, hour_of_week(MONDAY_NOON_MS)].max()))
    assert paces[0] == 1.0
    assert paces == sorted(paces)
    assert 1.7 < paces[-1] < 2.4


def test_an_hour_is_known_by_itself_and_others_by_the_city() -> None:
    """A slow noon makes noon slowest; the same hour of other days is between; nothing leaves the city's range."""
    learner = TravelLearner()
    ride(learner, FREE.speed_mps / 2, 50)
    ride(learner, FREE.speed_mps, 100, begin_ms=MONDAY_NOON_MS + 6 * 3_600_000)
    paces = learner.sums.paces()[0]
    noon = hour_of_week(MONDAY_NOON_MS)
    assert paces[noon] > paces[noon + 24] > paces[noon + 6]


def test_standing_still_teaches_nothing() -> None:
    """A rider who waits, with a GPS that trembles; and one who is seen too rarely to know its way."""
    learner = TravelLearner()
    assert ride(learner, 0.0, 30) == 0
    for i in range(20):
        at_ms = MONDAY_NOON_MS + i * 200_000
        lat = np.array([LAT_E7 + i * 50_000])
        one = np.ones(1)
        assert (
            learner.learn_from_fixes(
                LastFixes(np.array([2], np.uint64), lat, np.array([LNG_E7]), np.array([at_ms]), one), at_ms
            )
            == 0
        )
    assert ride(learner, 5.0, 5, rider=3) > 0


def test_a_slow_rider_is_told_from_a_slow_city() -> None:
    """Two riders at one time, one half as fast: the factors lie on either side of 1."""
    learner = TravelLearner()
    for i in range(400):
        at_ms = MONDAY_NOON_MS + i * 15_000
        metres = [speed * 15 * i % 4000 for speed in (6.0, 3.0)]
        lats = np.array([LAT_E7 + round((m if m < 2000 else 4000 - m) * METRE_E7) for m in metres])
        ids, lngs = np.array([1, 2], np.uint64), np.array([LNG_E7, LNG_E7 + 100])
        learner.learn_from_fixes(LastFixes(ids, lats, lngs, np.full(2, at_ms), np.ones(2)), at_ms)
        if i % 40 == 0:
            learner.refresh()
    assert learner.pace_of(RiderId(1)) < 0.95 < 1.05 < learner.pace_of(RiderId(2))
    assert learner.pace_of(RiderId(3)) == 1.0


def test_rain_is_felt_now_and_forgotten_later() -> None:
    """After a usual hour a lone rider takes twice as long: `now` says so, and no more some hours later."""
    learner = TravelLearner()
    ride(learner, 6.0, 60)
    learner.refresh()
    ride(learner, 3.0, 20, begin_ms=MONDAY_NOON_MS + 3_600_000)
    assert learner.now_factor() > 1.15
    nobody = LastFixes(np.zeros(0, np.uint64), *(np.zeros(0, np.int64),) * 3, np.zeros(0))
    learner.learn_from_fixes(nobody, MONDAY_NOON_MS + 5 * 3_600_000)
    assert learner.now_factor() == pytest.approx(1.0, abs=0.01)


def test_legs_teach_start_stretch_and_direction() -> None:
    """Legs of 40 s + 1.2 x the cells, and 1.3 times that on the diagonal."""
    rng, sums = Random(SEED), LegSums()
    for _ in range(1500):
        expected_s, sector = rng.uniform(60, 600), rng.randrange(8)
        turn = 1.3 if sector in (2, 6) else 1.0
        sums.add(expected_s, (40 + 1.2 * expected_s) * turn * rng.lognormvariate(0, 0.05), sector)
    fit = sums.fit()
    diagonal, straight = (float(fit.seconds(np.array([300.0]), np.array([s]))[0]) for s in (2, 0))
    assert straight == pytest.approx(400, rel=0.06)
    assert diagonal / straight == pytest.approx(1.3, rel=0.06)
    assert LegSums().fit() == LegFit()


def test_directions() -> None:
    """East and west are one, north and south another, the diagonals lie between."""
    ways = np.array([(0, 9), (0, -9), (9, 0), (-9, 0), (9, 9), (-9, -9), (9, -9)], np.int64)
    assert sector_of(ways, np.zeros(7, np.int64)).tolist() == [0, 0, 4, 4, 2, 2, 6]


def test_the_raster_agrees_with_the_library() -> None:
    """A place well inside its cell is found there; off the map it is nowhere."""
    import h3.api.basic_int as h3

    home = h3.latlng_to_cell(LAT_E7 / 1e7, LNG_E7 / 1e7, 8)
    cells = np.array(sorted(h3.grid_disk(home, 4)), np.uint64)
    raster = Raster.of(cells)
    centres = np.array([h3.cell_to_latlng(int(c)) for c in cells]) * 1e7
    assert raster.slots(centres[:, 0], centres[:, 1]).tolist() == list(range(len(cells)))
    assert raster.slots(np.array([0.0]), np.array([0.0])).tolist() == [-1]


def learned(seed: str, poison: bool = False) -> bytes:
    """The model after half an hour of 20 riders; poisoned with what would come later, it must be the same."""
    rng, learner = Random(seed), TravelLearner()
    speeds = [rng.uniform(3, 9) for _ in range(20)]
    model = b""
    for i in range(200):
        at_ms = MONDAY_NOON_MS + i * 15_000
        if i == 120:
            model = learner.model().packed()
        if i >= 120 and poison:
            speeds = [30.0] * 20
        metres = [speed * 15 * i % 4000 for speed in speeds]
        lats = np.array([LAT_E7 + round(m * METRE_E7) for m in metres])
        lngs = np.array([LNG_E7 + k * 2000 for k in range(20)])
        learner.learn_from_fixes(
            LastFixes(np.arange(1, 21, dtype=np.uint64), lats, lngs, np.full(20, at_ms), np.ones(20)), at_ms
        )
        start, end = Point(LAT_E7, LNG_E7), Point(LAT_E7 + 10_000 * (i % 7), LNG_E7 + 20_000)
        learner.learn_from_leg(start, end, at_ms, rng.uniform(60, 300), RiderId(1 + i % 20), 1.0)
    return model


def test_the_future_teaches_nothing() -> None:
    """Whatever comes after a model was made, it is the same, byte for byte; and equal pings make equal models."""
    assert learned("a") == learned("a", poison=True)
    assert learned("a") != learned("b")


def test_a_model_is_a_value() -> None:
    """Packed and unpacked it has the same version and answers; another city's has another version."""
    packed = learned("a")
    model, again = LearnedTravel.unpacked(packed), LearnedTravel.unpacked(packed)
    a, b = places(20, Random(SEED)), places(20, Random(SEED + 1))
    assert model.version == again.version != LearnedTravel.unpacked(learned("b")).version
    assert (model.pairs(a, b, MONDAY_NOON_MS) == again.pairs(a, b, MONDAY_NOON_MS)).all()
    for broken in (b"", b"no archive", packed[:200]):
        with pytest.raises(BrokenModel):
            LearnedTravel.unpacked(broken)


def test_memory_is_bounded() -> None:
    """An hour remembers no more than it may, however long it was driven through."""
    learner = TravelLearner(params=SpeedParams(memory_s=600))
    ride(learner, 6.0, 58)
    assert learner.sums.free_s.max() <= 600
    assert SpeedSums(SpeedParams()).paces().shape == (1, HOURS)


@pytest.mark.parametrize("bad", [{"shrink_s": 0}, {"memory_s": 1}, {"slowest": 1}])
def test_bad_params_are_refused(bad: dict[str, float]) -> None:
    """By name."""
    with pytest.raises(InvalidParams, match=next(iter(bad))):
        SpeedParams(**bad)
