"""Housekeeping takes small pieces, to the last, and no round is endless."""

from __future__ import annotations

import pytest

from dispatch.shard import housekeeping
from dispatch.shard.housekeeping import PIECE, prune


class Attic:
    """Rows that nobody asks for any more."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.asked: list[int] = []

    async def prune(self, city: str, keep_h: int, most: int) -> int:
        self.asked.append(most)
        piece = min(most, self.rows)
        self.rows -= piece
        return piece


async def test_a_round_goes_on_until_nothing_is_left() -> None:
    """Never more than a piece at a time."""
    attic = Attic(3 * PIECE + 5)
    assert await prune("roma", attic, pause_s=0) == 3 * PIECE + 5
    assert attic.asked == [PIECE] * 5


async def test_a_round_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than a round's pieces waits for the next round."""
    monkeypatch.setattr(housekeeping, "PIECES", 2)
    attic = Attic(10 * PIECE)
    assert await prune("roma", attic, pause_s=0) == 2 * PIECE
