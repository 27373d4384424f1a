"""Events about riders on loan between neighbouring cities."""

from __future__ import annotations

from dataclasses import replace

from dispatch.engine.inputs import RiderBorrowed, RiderLent, RiderReturned
from dispatch.engine.model import LoanState, Rider
from dispatch.engine.notes import Note, NoteKind, duplicate, refused
from dispatch.engine.params import EngineParams
from dispatch.engine.state import Draft


def lend_rider(item: RiderLent, draft: Draft, params: EngineParams) -> list[Note]:
    """Lend an idle rider to a neighbouring city."""
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.online:
        return refused("not_online", item.at_ms, rider_id=item.rider_id)
    if rider.loan is not None and rider.loan.state is not LoanState.RETURNED:
        if rider.loan.loan_id == item.loan.loan_id:
            return duplicate(item.at_ms, rider_id=item.rider_id)
        return refused("on_loan", item.at_ms, rider_id=item.rider_id)
    if rider.stops or rider.offer_id is not None:
        return refused("busy", item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, loan=item.loan))
    return [Note(NoteKind.LENT, item.at_ms, rider_id=item.rider_id)]


def borrow_rider(item: RiderBorrowed, draft: Draft, params: EngineParams) -> list[Note]:
    """Add a rider that a neighbouring city has lent."""
    known = draft.rider(item.rider_id)
    if known is not None and known.loan is not None and known.loan.lent_ms >= item.loan.lent_ms:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(
        Rider(
            rider_id=item.rider_id,
            online=True,
            shift_end_ms=min(item.shift_end_ms, item.loan.until_ms),
            capacity=item.capacity,
            vehicle=item.vehicle,
            zone=item.zone,
            rested_ms=max(item.at_ms, item.free_ms),
            loan=item.loan,
        )
    )
    return []


def take_back_rider(item: RiderReturned, draft: Draft, params: EngineParams) -> list[Note]:
    """Take back a rider whose loan is over."""
    rider = draft.rider(item.rider_id)
    if rider is None or not rider.lent or rider.loan is None or rider.loan.loan_id != item.loan_id:
        return duplicate(item.at_ms, rider_id=item.rider_id)
    draft.put_rider(replace(rider, loan=None, rested_ms=max(rider.rested_ms, item.free_ms)))
    return []


def send_home_idle(draft: Draft, now_ms: int, params: EngineParams) -> list[Note]:
    """Borrowed riders with nothing to do go home after a while, at the end of the loan at once."""
    notes = []
    for rider in draft.borrowed():
        idle_ms = now_ms - rider.rested_ms
        wanted = rider.online and now_ms < rider.shift_end_ms and idle_ms < params.loans.idle_s * 1000
        if rider.loan is None or rider.stops or rider.offer_id is not None or wanted:
            continue
        draft.put_rider(replace(rider, online=False, loan=replace(rider.loan, state=LoanState.RETURNED)))
        notes.append(Note(NoteKind.RETURNED, now_ms, rider_id=rider.rider_id))
    return notes
