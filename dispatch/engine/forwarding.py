"""Choose the messages of lent riders that go to the borrower: their apps speak to their home city only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dispatch.engine.inputs import Delivered, Input, OfferReplied, PickedUp, RiderArrived, RiderOffline
from dispatch.engine.model import Loan
from dispatch.engine.state import CityState
from node.errors import Retryable

RiderMessage = OfferReplied | RiderArrived | PickedUp | Delivered | RiderOffline

#: Event id, message, and the loan to whose borrower it goes.
ForwardedMessage = tuple[str, RiderMessage, Loan]
#: Forwards messages, in order; durable when it returns.
Forward = Callable[[Sequence[ForwardedMessage]], Awaitable[None]]


async def no_neighbours(messages: Sequence[ForwardedMessage]) -> None:
    """Refuse to forward: `Forward` of a shard without neighbours, which lends nobody."""
    raise Retryable("this shard knows no neighbouring cities", reason="NO_NEIGHBOURS")


def only_for_borrower(item: Input | None, state: CityState) -> bool:
    """Whether a message concerns only the borrower of its rider. The end of a shift concerns both cities."""
    return not isinstance(item, RiderOffline) and _loan_of(item, state) is not None


def messages_to_forward(messages: Sequence[tuple[str, Input | None]], state: CityState) -> list[ForwardedMessage]:
    """Choose the messages, given with their event ids, that go to a borrower."""
    forwarded = []
    for event_id, item in messages:
        loan = _loan_of(item, state)
        if loan is not None and isinstance(item, RiderMessage):
            forwarded.append((event_id, item, loan))
    return forwarded


def _loan_of(item: Input | None, state: CityState) -> Loan | None:
    if not isinstance(item, RiderMessage):
        return None
    rider = state.riders.get(item.rider_id)
    return rider.loan if rider is not None and rider.lent else None
