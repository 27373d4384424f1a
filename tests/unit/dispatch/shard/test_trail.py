"""Trails converge: whatever the pieces, their order and repetitions, the documents are the same bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.trails.minute_documents import MINUTE_MS, TrailKey, chunks, middle, packed, unpacked
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.worlds import DOWNTOWN, NOON_MS, fixes

Fix = tuple[int, int, int]

_FIXES = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 12)), min_size=1, max_size=40, unique=True
)


def columns(rows: list[Fix]) -> FixColumns:
    """Fixes of (rider, session, seq); time and place follow from them."""
    return FixColumns.concat(
        [
            fixes({rider: (seq, session)}, session=session, seq=seq, ts_ms=NOON_MS + 15_000 * (seq + 13 * session))
            for rider, session, seq in rows
        ]
    )


def documents(pieces: list[FixColumns]) -> dict[TrailKey, dict[str, bytes]]:
    """What is stored after these pieces came one after another."""
    stored: dict[TrailKey, dict[str, bytes]] = {}
    for piece in pieces:
        before = [unpacked([(key.rider_id, columns)]) for key, columns in stored.items()]
        stored |= {key: packed(chunk) for key, chunk in chunks(FixColumns.concat([*before, piece]))}
    return stored


@settings(max_examples=100, deadline=None)
@given(rows=_FIXES, data=st.data())
def test_documents_do_not_hang_on_how_the_fixes_came(rows: list[Fix], data: st.DataObject) -> None:
    """Shuffled, cut in pieces, some of them twice: equal documents."""
    shuffled = data.draw(st.permutations(rows))
    again = data.draw(st.lists(st.sampled_from(rows), max_size=10))
    cut = data.draw(st.integers(0, len(shuffled)))
    pieces = [part for part in (shuffled[:cut], again, shuffled[cut:]) if part]
    assert documents([columns(part) for part in pieces]) == documents([columns(rows)])


def test_a_document_holds_one_rider_and_minute() -> None:
    """Every fix is in the document of its rider and minute, once."""
    batch = columns([(1, 1, 1), (1, 1, 9), (2, 1, 1), (1, 1, 1)])
    found = dict(chunks(batch))
    assert sum(len(chunk) for chunk in found.values()) == 3
    for key, chunk in found.items():
        assert set(chunk.rider_id.tolist()) == {key.rider_id}
        assert set((chunk.ts_ms // MINUTE_MS).tolist()) == {key.minute}


def test_what_is_stored_is_read_back() -> None:
    """All columns, the riders of the keys."""
    batch = columns([(1, 1, 1), (1, 1, 2), (2, 1, 1)])
    again = unpacked([(1, packed(batch.take(np.array([0, 1])))), (2, packed(batch.take(np.array([2]))))])
    for name in ("rider_id", "session", "seq", "ts_ms", "lat_e7", "lng_e7", "heading_cdeg"):
        assert np.array_equal(getattr(again, name), getattr(batch, name))


def test_every_fix_lies_within_reach_of_the_middle() -> None:
    """Two fixes 2 km apart: the middle between them, 1 km of reach."""
    batch = FixColumns.concat([fixes({1: (0, 0)}), fixes({1: (180_000, 0)}, seq=2)])
    lng, lat, reach_m = middle(batch)
    assert abs(lat * 1e7 - DOWNTOWN.lat_e7 - 90_000) < 1
    assert abs(lng * 1e7 - DOWNTOWN.lng_e7) < 1
    assert 1000 <= reach_m <= 1002
