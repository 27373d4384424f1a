"""What riders on loan say: their apps speak to their home city, which passes on what is for the borrower. Pure."""

from __future__ import annotations

from dispatch.inputs import Delivered, Input, OfferReplied, PickedUp, RiderArrived, RiderOffline
from dispatch.model import Loan
from dispatch.state import CityState

Said = OfferReplied | RiderArrived | PickedUp | Delivered | RiderOffline


def said_to_borrower(item: Input | None, state: CityState) -> Loan | None:
    """The loan to whose borrower a message belongs, and to nobody here; None for the city's own."""
    return None if isinstance(item, RiderOffline) else borrower_of(item, state)


def borrower_of(item: Input | None, state: CityState) -> Loan | None:
    """The loan to whose borrower a message is passed on. The end of a shift concerns both cities."""
    if not isinstance(item, Said):
        return None
    rider = state.riders.get(item.rider_id)
    return rider.loan if rider is not None and rider.lent else None
