"""Checks of replies and statuses, which come one by one."""

from __future__ import annotations

from node.geodesy import MAX_LAT_E7, MAX_LNG_E7
from tracking.engine.limits import Limits
from tracking.model import Refusal, RiderReplied, RiderStatusChanged
from tracking.statuses import RiderStatus, Vehicle

_STATUSES = frozenset(RiderStatus)
_ABOUT_AN_ORDER = frozenset({RiderStatus.ARRIVED, RiderStatus.PICKED_UP, RiderStatus.DELIVERED})
_VEHICLES = frozenset(Vehicle)
MAX_CAPACITY = 20
MAX_ID_LENGTH = 64


def check_reply(seq: int, reply: RiderReplied, now_ms: int, limits: Limits) -> Refusal | None:
    """Refusal of a reply; None if it is valid. `now_ms` is domain time."""
    return (
        _seq("reply", seq)
        or _id("reply.offer_id", seq, reply.offer_id)
        or _time("reply", seq, reply.ts_ms, now_ms, limits)
    )


def check_status(seq: int, status: RiderStatusChanged, now_ms: int, limits: Limits) -> Refusal | None:
    """Refusal of a status; None if it is valid. `now_ms` is domain time."""
    if status.status not in _STATUSES:
        return Refusal(seq, "status.status", "out_of_range", f"no status has the number {status.status}")
    if status.status in _ABOUT_AN_ORDER:
        fault = _id("status.order_id", seq, status.order_id)
    elif status.order_id:
        fault = Refusal(seq, "status.order_id", "out_of_range", "ONLINE and OFFLINE are about no order")
    else:
        fault = None
    return fault or _seq("status", seq) or _time("status", seq, status.ts_ms, now_ms, limits) or _shift(seq, status)


def _shift(seq: int, status: RiderStatusChanged) -> Refusal | None:
    if status.vehicle not in _VEHICLES:
        return Refusal(seq, "status.vehicle", "out_of_range", f"no vehicle has the number {status.vehicle}")
    if status.capacity > MAX_CAPACITY:
        return Refusal(seq, "status.capacity", "out_of_range", f"at most {MAX_CAPACITY}")
    if status.shift_end_ms < 0:
        return Refusal(seq, "status.shift_end_ms", "out_of_range", "must not be negative")
    if status.at is not None and (abs(status.at[0]) > MAX_LAT_E7 or abs(status.at[1]) > MAX_LNG_E7):
        return Refusal(seq, "status.at", "out_of_range", "not a place on earth")
    return None


def _seq(kind: str, seq: int) -> Refusal | None:
    return None if seq else Refusal(0, f"{kind}.seq", "missing", "sequence numbers begin with 1")


def _id(field: str, seq: int, value: str) -> Refusal | None:
    if not value:
        return Refusal(seq, field, "missing", "must not be empty")
    if len(value) > MAX_ID_LENGTH:
        return Refusal(seq, field, "too_long", f"at most {MAX_ID_LENGTH} characters")
    return None


def _time(kind: str, seq: int, ts_ms: int, now_ms: int, limits: Limits) -> Refusal | None:
    if ts_ms > now_ms + limits.domain_ahead_ms:
        return Refusal(seq, f"{kind}.ts_ms", "from_the_future", f"must be at most {now_ms + limits.domain_ahead_ms}")
    if ts_ms < now_ms - limits.max_event_age_ms:
        return Refusal(seq, f"{kind}.ts_ms", "too_old", f"must be at least {now_ms - limits.max_event_age_ms}")
    return None
