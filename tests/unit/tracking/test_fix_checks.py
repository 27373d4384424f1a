"""Replies and statuses are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.tracking.worlds import NOW_MS
from tracking.engine.event_checks import check_reply, check_status
from tracking.engine.limits import Limits
from tracking.model import RiderReplied, RiderStatusChanged
from tracking.statuses import RiderStatus

REPLY = RiderReplied("o-1", True, NOW_MS)
ONLINE = RiderStatusChanged(RiderStatus.ONLINE, "", NOW_MS, at=(0, 0))
DELIVERED = RiderStatusChanged(RiderStatus.DELIVERED, "order-1", NOW_MS)


def test_good_ones_pass() -> None:
    """Nothing is wrong with a plain reply and with plain statuses."""
    assert check_reply(1, REPLY, NOW_MS, Limits()) is None
    assert check_status(1, ONLINE, NOW_MS, Limits()) is None
    assert check_status(1, DELIVERED, NOW_MS, Limits()) is None
    assert check_status(1, replace(DELIVERED, ts_ms=NOW_MS - 5 * 3_600_000), NOW_MS, Limits()) is None


@pytest.mark.parametrize(
    ("seq", "reply", "field", "reason"),
    [
        (0, REPLY, "reply.seq", "missing"),
        (1, replace(REPLY, offer_id=""), "reply.offer_id", "missing"),
        (1, replace(REPLY, offer_id="x" * 65), "reply.offer_id", "too_long"),
        (1, replace(REPLY, ts_ms=NOW_MS + 5_001), "reply.ts_ms", "from_the_future"),
        (1, replace(REPLY, ts_ms=0), "reply.ts_ms", "too_old"),
    ],
)
def test_bad_replies(seq: int, reply: RiderReplied, field: str, reason: str) -> None:
    """Each fault is told by its field."""
    refusal = check_reply(seq, reply, NOW_MS, Limits())
    assert refusal is not None
    assert (refusal.seq, refusal.field, refusal.reason) == (seq, field, reason)


@pytest.mark.parametrize(
    ("seq", "status", "field", "reason"),
    [
        (0, ONLINE, "status.seq", "missing"),
        (1, replace(ONLINE, status=0), "status.status", "out_of_range"),
        (1, replace(ONLINE, status=6), "status.status", "out_of_range"),
        (1, replace(ONLINE, order_id="order-1"), "status.order_id", "out_of_range"),
        (1, replace(DELIVERED, order_id=""), "status.order_id", "missing"),
        (1, replace(DELIVERED, order_id="x" * 65), "status.order_id", "too_long"),
        (1, replace(DELIVERED, ts_ms=NOW_MS + 60_000), "status.ts_ms", "from_the_future"),
        (1, replace(ONLINE, vehicle=4), "status.vehicle", "out_of_range"),
        (1, replace(ONLINE, capacity=21), "status.capacity", "out_of_range"),
        (1, replace(ONLINE, shift_end_ms=-1), "status.shift_end_ms", "out_of_range"),
        (1, replace(ONLINE, at=(900_000_001, 0)), "status.at", "out_of_range"),
    ],
)
def test_bad_statuses(seq: int, status: RiderStatusChanged, field: str, reason: str) -> None:
    """Each fault is told by its field."""
    refusal = check_status(seq, status, NOW_MS, Limits())
    assert refusal is not None
    assert (refusal.seq, refusal.field, refusal.reason) == (seq, field, reason)
