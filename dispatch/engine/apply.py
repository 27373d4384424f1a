"""Apply the inputs of a tick. Duplicates are no-ops, illegal inputs are refused with a note; nothing raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from dispatch.engine import inputs
from dispatch.engine.events import loans, offers, orders, riders
from dispatch.engine.notes import Note, refused
from dispatch.engine.params import EngineParams
from dispatch.engine.state import Draft

#: What each kind of input does.
_HANDLERS: Final[Mapping[type[object], Callable[[Any, Draft, EngineParams], list[Note]]]] = {
    inputs.OrderOpened: orders.open_order,
    inputs.OrderReadyChanged: orders.change_ready_time,
    inputs.OrderCancelled: orders.cancel_order,
    inputs.PickedUp: orders.pick_up,
    inputs.Delivered: orders.deliver,
    inputs.RiderOnline: riders.start_shift,
    inputs.RiderOffline: riders.end_shift,
    inputs.RiderArrived: riders.arrive_at_counter,
    inputs.RiderMovedOut: riders.move_out,
    inputs.RiderMovedIn: riders.move_in,
    inputs.OfferReplied: offers.reply_to_offer,
    inputs.RiderLent: loans.lend_rider,
    inputs.RiderBorrowed: loans.borrow_rider,
    inputs.RiderReturned: loans.take_back_rider,
}


def apply(draft: Draft, items: Iterable[inputs.Input], now_ms: int, params: EngineParams) -> list[Note]:
    """Take the inputs into the draft, in order; then let overdue offers expire.

    The same input twice, or an input that comes too late, leaves the draft as it is.
    """
    notes: list[Note] = []
    for item in items:
        handler = _HANDLERS.get(type(item))
        notes += handler(item, draft, params) if handler is not None else refused("unknown_input", 0)
    notes += offers.expire_offers(draft, now_ms, params)
    notes += loans.send_home_idle(draft, now_ms, params)
    draft.forget_ended_before(now_ms - round(params.offers.forget_s * 1000))
    return notes
