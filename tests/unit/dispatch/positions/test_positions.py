"""The latest rule: whatever the order, the batches and the duplicates, one state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.positions import RiderPositions
from proto.fix_columns import IMPLAUSIBLE_JUMP, FixColumns
from tests.unit.dispatch.positions.worlds import fixes

NOW_MS = 1_000_000

# Ids whose hashes collide in a small table, ids at both ends of the range, and ordinary ones.
rider_ids = st.sampled_from([0, 1, 2, 3, 2**32, 2**63, 2**64 - 1, 2**64 - 2]) | st.integers(0, 40)
fix_rows = st.tuples(rider_ids, st.integers(0, 3), st.integers(0, 6))


def as_fix(row: tuple[int, int, int]) -> tuple[int, int, int, int, int, int]:
    """The rest of a fix is a function of its key, as in truth: a resend carries the same content."""
    rider, session, seq = row
    mark = (rider * 31 + session * 7 + seq) % 1000
    return rider, session, seq, NOW_MS - mark, -299_000_000 + mark, -712_500_000 - mark


def state_of(positions: RiderPositions, riders: list[int]) -> dict[int, tuple[int, ...]]:
    columns, age, known = positions.positions_of(np.array(riders, np.uint64), NOW_MS)
    rows = zip(columns.rider_id, columns.session, columns.seq, age, columns.lat_e7, columns.lng_e7, strict=True)
    return {int(row[0]): tuple(int(v) for v in row) for row, ok in zip(rows, known, strict=True) if ok}


@given(st.lists(fix_rows, max_size=120), st.randoms(use_true_random=False), st.integers(1, 40))
def test_any_interleaving_ends_in_the_greatest_fix_of_each_rider(
    rows: list[tuple[int, int, int]], random: object, batch: int
) -> None:
    """Shuffled, duplicated and cut anyhow, the state is that of a dict keeping the greatest key."""
    oracle: dict[int, tuple[int, int, int]] = {}
    for row in rows:
        oracle[row[0]] = max(oracle.get(row[0], row), row)
    sent = rows + rows[: len(rows) // 2]
    random.shuffle(sent)  # type: ignore[attr-defined]

    positions = RiderPositions(expected_riders=1)
    applied = superseded = 0
    for at in range(0, len(sent), batch):
        result = positions.apply(fixes([as_fix(row) for row in sent[at : at + batch]]))
        applied, superseded = applied + result.applied, superseded + result.superseded
        assert len(set(result.moved_rows.tolist())) == len(result.moved_rows) == result.applied

    riders = sorted({row[0] for row in rows})
    expected = {
        rider: (r, s, q, NOW_MS - ts, lat, lng) for rider in riders for r, s, q, ts, lat, lng in [as_fix(oracle[rider])]
    }
    assert state_of(positions, riders) == expected
    assert applied + superseded == len(sent)
    assert (positions.applied_total, positions.superseded_total) == (applied, superseded)
    assert len(positions) == len(riders)


def test_of_equal_keys_the_first_in_the_log_stays() -> None:
    """A broken app that reuses a sequence number changes nothing, within a batch or across two."""
    first, second = (7, 1, 1, NOW_MS, 10, 10), (7, 1, 1, NOW_MS, 20, 20)
    together, apart = RiderPositions(), RiderPositions()
    together.apply(fixes([first, second]))
    apart.apply(fixes([first]))
    apart.apply(fixes([second]))
    assert state_of(together, [7]) == state_of(apart, [7])
    assert state_of(apart, [7])[7][4:] == (10, 10)


def test_an_implausible_jump_is_counted_but_moves_nobody() -> None:
    """A marked fix is superseded at once; its rider stays where it was, or unknown."""
    batch = fixes([(1, 1, 1, NOW_MS, 0, 0), (1, 1, 2, NOW_MS, 99, 99), (2, 1, 1, NOW_MS, 99, 99)])
    batch.flags[1:] = IMPLAUSIBLE_JUMP
    positions = RiderPositions()
    result = positions.apply(batch)
    assert (result.applied, result.superseded) == (1, 2)
    assert len(positions) == 1
    assert state_of(positions, [1, 2])[1][2] == 1


def test_changed_since_follows_each_reader_at_its_own_pace() -> None:
    """A reader gets exactly the riders that moved after its cursor, once each, at their last position."""
    positions = RiderPositions()
    positions.apply(fixes([(1, 1, 1, 0, 0, 0), (2, 1, 1, 0, 0, 0)]))
    cursor = positions.version
    positions.apply(fixes([(2, 1, 2, 0, 5, 5)]))
    positions.apply(fixes([(2, 1, 3, 0, 6, 6), (3, 1, 1, 0, 7, 7), (1, 1, 1, 0, 9, 9)]))
    changed = positions.changed_since(cursor)
    assert sorted(zip(changed.rider_id.tolist(), changed.lat_e7.tolist(), strict=True)) == [(2, 6), (3, 7)]
    assert len(positions.changed_since(positions.version)) == 0


def test_an_empty_index_answers_for_riders_it_never_saw() -> None:
    """Nobody is known, nobody is near, nothing raises."""
    positions = RiderPositions()
    assert not positions.positions_of(np.array([1, 2], np.uint64), NOW_MS)[2].any()
    positions.apply(fixes([]))
    assert len(positions.snapshot(NOW_MS)) == 0


def test_growing_to_many_riders_loses_none() -> None:
    """50,000 riders arriving in small lots, seed 11, are all found again."""
    rng = np.random.default_rng(11)
    riders = np.unique(rng.integers(0, 2**64, 50_000, dtype=np.uint64))
    positions = RiderPositions(expected_riders=1)
    for lot in np.array_split(rng.permutation(riders), 37):
        n = len(lot)
        ones, zeros = np.ones(n, np.uint64), np.zeros(n, np.int32)
        blank = np.zeros(n, np.uint16)
        positions.apply(
            FixColumns(
                lot,
                ones,
                ones,
                np.zeros(n, np.int64),
                zeros,
                zeros,
                blank,
                blank,
                blank,
                np.zeros(n, np.uint8),
            )
        )
    columns, _, known = positions.positions_of(riders, NOW_MS)
    assert known.all()
    assert np.array_equal(columns.rider_id, riders)


def test_columns_of_unequal_length_are_refused() -> None:
    """A malformed batch never reaches the columns."""
    good = fixes([(1, 1, 1, 0, 0, 0)])
    with pytest.raises(ValueError, match="one length"):
        FixColumns(
            good.rider_id, good.session, good.seq, good.ts_ms, good.lat_e7, good.lng_e7[:0],
            good.accuracy_dm, good.heading_cdeg, good.speed_cms, good.flags,
        )  # fmt: skip
