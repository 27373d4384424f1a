"""Small batches of fixes and brute-force answers for the index's tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.positions import PositionSnapshot
from proto.fix_columns import FixColumns

LA_SERENA = (-299_000_000, -712_500_000)


def fixes(rows: list[tuple[int, int, int, int, int, int]]) -> FixColumns:
    """Fixes from (rider, session, seq, ts_ms, lat_e7, lng_e7)."""
    rider, session, seq, ts_ms, lat, lng = zip(*rows, strict=True) if rows else ((),) * 6
    blank = np.zeros(len(rows), np.uint16)
    return FixColumns(
        np.array(rider, np.uint64),
        np.array(session, np.uint64),
        np.array(seq, np.uint64),
        np.array(ts_ms, np.int64),
        np.array(lat, np.int32),
        np.array(lng, np.int32),
        blank,
        blank,
        blank,
        np.zeros(len(rows), np.uint8),
    )


def scattered(
    rng: np.random.Generator, riders: int, centre: tuple[int, int], spread_e7: int, ts_ms: int = 0
) -> FixColumns:
    """One fix each of riders 1..n, normally spread around a centre."""
    lat = np.rint(rng.normal(centre[0], spread_e7, riders)).astype(np.int32)
    lng = np.rint(rng.normal(centre[1], spread_e7, riders)).astype(np.int32)
    return fixes([(i + 1, 1, 1, ts_ms, int(a), int(b)) for i, (a, b) in enumerate(zip(lat, lng, strict=True))])


def brute_force_m(snapshot: PositionSnapshot, lat_e7: int, lng_e7: int) -> NDArray[np.float64]:
    """Haversine metres from a place to every rider of the snapshot; written out here, to judge what is tested by."""
    lat, lng = np.radians(lat_e7 / 1e7), np.radians(lng_e7 / 1e7)
    lats, lngs = np.radians(snapshot.columns.lat_e7 / 1e7), np.radians(snapshot.columns.lng_e7 / 1e7)
    h = np.sin((lats - lat) / 2) ** 2 + np.cos(lat) * np.cos(lats) * np.sin((lngs - lng) / 2) ** 2
    return np.asarray(2 * 6_371_008.8 * np.arcsin(np.sqrt(h)))
