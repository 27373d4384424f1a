"""What riders on loan say: their apps speak to their home city, which passes on what is for the borrower. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from dispatch.engine.inputs import Delivered, Input, OfferReplied, PickedUp, RiderArrived, RiderOffline
from dispatch.engine.model import Loan
from dispatch.engine.state import CityState
from node.errors import Retryable

Said = OfferReplied | RiderArrived | PickedUp | Delivered | RiderOffline

#: Event id, what was said, and the loan to whose borrower it goes.
Passed = tuple[str, Said, Loan]
#: Passes messages on, in order; durable when it returns.
PassOn = Callable[[Sequence[Passed]], Awaitable[None]]


async def no_way(messages: Sequence[Passed]) -> None:
    """`PassOn` of a shard without neighbours: lends nobody, so nobody is on loan."""
    raise Retryable("this shard has no way to other cities' logs", reason="NO_WAY")


def said_to_borrower(item: Input | None, state: CityState) -> bool:
    """Whether a message concerns the borrower of its rider only. The end of a shift concerns both cities."""
    return not isinstance(item, RiderOffline) and _loan_of(item, state) is not None


def to_pass_on(messages: Sequence[tuple[str, Input | None]], state: CityState) -> list[Passed]:
    """Those of the messages, by event id, that a borrower must hear."""
    passed = []
    for event_id, item in messages:
        loan = _loan_of(item, state)
        if loan is not None and isinstance(item, Said):
            passed.append((event_id, item, loan))
    return passed


def _loan_of(item: Input | None, state: CityState) -> Loan | None:
    if not isinstance(item, Said):
        return None
    rider = state.riders.get(item.rider_id)
    return rider.loan if rider is not None and rider.lent else None
